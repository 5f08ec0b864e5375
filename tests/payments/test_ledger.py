"""The books: what is posted once stays posted once, and nothing goes below zero."""

from __future__ import annotations

import datetime as dt
import threading
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from advertmarket.actors import Actor
from advertmarket.db import NoDatabaseTransaction
from ops import checks
from payments.books import ledger
from payments.books.chart import NETWORK_FEES, Account, PerDeal
from payments.books.ledger import InsufficientFunds, KeyReused, Line
from payments.models import AccountBalance, Journal, Posting
from tests.database import Clone

AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
ACTOR = Actor.system("test")
A, B, C = (Account(f"{name}:x") for name in ("A", "B", "C"))


@pytest.fixture(autouse=True)
def any_journal_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kind of journal may move is the subject of test_journals."""
    monkeypatch.setattr(ledger, "allows", lambda *_: True)


def post(key: str, *lines: Line, kind: Journal.Kind = Journal.Kind.FEE_ADJUSTMENT) -> UUID:
    with transaction.atomic():
        return ledger.post(kind=kind, key=key, lines=lines, actor=ACTOR, at=AT)


def fund(account: Account, amount_nano: int) -> None:
    post(f"fund:{account}:{uuid4()}", Line(NETWORK_FEES, account, amount_nano))


@pytest.mark.django_db
def test_a_journal_moves_money_between_accounts() -> None:
    fund(A, 100)

    post("split", Line(A, B, 90), Line(A, C, 10))

    assert [ledger.balance(account) for account in (A, B, C)] == [0, 90, 10]


@pytest.mark.django_db
def test_the_same_journal_again_changes_nothing() -> None:
    fund(A, 100)
    first = post("key", Line(A, B, 60))

    again = post("key", Line(A, B, 60))

    assert again == first
    assert (ledger.balance(A), ledger.balance(B)) == (40, 60)
    assert Posting.objects.filter(journal=first).count() == 1


@pytest.mark.django_db
def test_the_order_of_lines_does_not_make_another_journal() -> None:
    fund(A, 100)
    first = post("key", Line(A, B, 60), Line(A, C, 40))

    assert post("key", Line(A, C, 40), Line(A, B, 60)) == first


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (Journal.Kind.FEE_ADJUSTMENT, Line(A, B, 61)),
        (Journal.Kind.FEE_ADJUSTMENT, Line(A, C, 60)),
        (Journal.Kind.RECEIVED, Line(A, B, 60)),
    ],
)
@pytest.mark.django_db
def test_a_key_with_other_content_is_refused(kind: Journal.Kind, line: Line) -> None:
    fund(A, 100)
    post("key", Line(A, B, 60))

    with pytest.raises(KeyReused):
        post("key", line, kind=kind)

    assert [ledger.balance(account) for account in (A, B, C)] == [40, 60, 0]


@pytest.mark.django_db
def test_an_account_never_goes_below_zero() -> None:
    fund(A, 100)

    with pytest.raises(InsufficientFunds):
        post("too-much", Line(A, B, 101))

    assert (ledger.balance(A), ledger.balance(B)) == (100, 0)
    assert not Journal.objects.filter(key="too-much").exists()


@pytest.mark.django_db
def test_an_account_that_never_held_anything_gives_nothing() -> None:
    with pytest.raises(InsufficientFunds):
        post("nothing-there", Line(A, B, 1))

    assert not AccountBalance.objects.filter(balance_nano__gt=0).exists()


@pytest.mark.django_db
def test_a_hub_may_go_below_zero_and_keeps_no_balance_row() -> None:
    fund(A, 5)

    assert not AccountBalance.objects.filter(code=NETWORK_FEES).exists()


@pytest.mark.django_db
def test_posting_outside_a_database_transaction_is_refused() -> None:
    with pytest.raises(NoDatabaseTransaction):
        ledger.post(
            kind=Journal.Kind.FEE_ADJUSTMENT, key="k", lines=[Line(A, B, 1)], actor=ACTOR, at=AT
        )


@pytest.mark.parametrize("amount", [0, -1, 1.5, True])
def test_only_positive_whole_amounts_move(amount: int) -> None:
    with pytest.raises(ValueError, match="positive whole amount"):
        Line(A, B, amount)


def test_a_posting_on_chain_names_its_wallet() -> None:
    with pytest.raises(ValueError, match="names its wallet"):
        Line(Account("EXTERNAL_TON"), A, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_postings SET amount_nano = 1",
        "DELETE FROM ledger_postings",
        "TRUNCATE ledger_postings",
        "UPDATE ledger_journals SET kind = 'X'",
        "DELETE FROM ledger_journals",
        "TRUNCATE ledger_journals CASCADE",
    ],
)
@pytest.mark.django_db
def test_the_database_refuses_to_change_the_books(statement: str) -> None:
    fund(A, 100)
    connection.check_constraints()  # else TRUNCATE is refused for the foreign keys not yet checked

    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert ledger.balance(A) == 100


_LINES = st.lists(
    st.builds(
        lambda pair, amount: Line(pair[0], pair[1], amount),
        st.permutations([A, B, C, NETWORK_FEES]).map(lambda names: names[:2]),
        st.integers(1, 1_000),
    ),
    min_size=1,
    max_size=4,
)


@given(journals=st.lists(st.tuples(st.integers(0, 5), _LINES), max_size=12))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.django_db
def test_whatever_is_posted_the_books_stay_right(
    db: None, journals: list[tuple[int, list[Line]]]
) -> None:
    with transaction.atomic():
        expected = {account: ledger.balance(account) for account in (A, B, C)}
        seen: dict[str, list[Line]] = {}
        prefix = uuid4()
        for number, lines in journals:
            key = f"{prefix}:{number}"
            try:
                post(key, *lines)
            except InsufficientFunds:
                change = dict(expected)
                for line in lines:
                    change[line.debit] = change.get(line.debit, 0) - line.amount_nano
                    change[line.credit] = change.get(line.credit, 0) + line.amount_nano
                assert key not in seen
                assert min(change[account] for account in (A, B, C)) < 0
            except KeyReused:
                assert sorted(seen[key], key=repr) != sorted(lines, key=repr)
            else:
                if key not in seen:
                    seen[key] = lines
                    for line in lines:
                        expected[line.debit] = expected.get(line.debit, 0) - line.amount_nano
                        expected[line.credit] = expected.get(line.credit, 0) + line.amount_nano
        assert {account: ledger.balance(account) for account in (A, B, C)} == {
            account: expected[account] for account in (A, B, C)
        }
        assert checks.run_all() == {}


def _in_threads(work: list[threading.Thread]) -> None:
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()


def test_two_journals_over_the_same_accounts_in_opposite_order_do_not_deadlock(
    committed_db: Clone,
) -> None:
    fund(A, 1_000)
    fund(B, 1_000)
    problems: list[BaseException] = []

    def run(source: Account, target: Account, name: str) -> None:
        try:
            for number in range(50):
                post(f"{name}:{number}", Line(source, target, 1), Line(target, C, 1))
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    _in_threads(
        [
            threading.Thread(target=run, args=(A, B, "there")),
            threading.Thread(target=run, args=(B, A, "back")),
        ]
    )

    assert problems == []
    assert sum(ledger.balance(account) for account in (A, B, C)) == 2_000


def test_the_same_journal_from_many_threads_is_posted_once(committed_db: Clone) -> None:
    fund(A, 100)
    refs: list[UUID] = []

    def run() -> None:
        try:
            refs.append(post("once", Line(A, B, 100)))
        finally:
            connection.close()

    _in_threads([threading.Thread(target=run) for _ in range(8)])

    assert len(set(refs)) == 1
    assert len(refs) == 8
    assert (ledger.balance(A), ledger.balance(B)) == (0, 100)


def test_spending_from_many_threads_never_overdraws(committed_db: Clone) -> None:
    fund(A, 5)
    refused: list[BaseException] = []

    def run(number: int) -> None:
        try:
            post(f"spend:{number}", Line(A, B, 1))
        except InsufficientFunds as refusal:
            refused.append(refusal)
        finally:
            connection.close()

    _in_threads([threading.Thread(target=run, args=(number,)) for number in range(9)])

    assert len(refused) == 4
    assert (ledger.balance(A), ledger.balance(B)) == (0, 5)


@pytest.mark.leaves_findings
def test_without_the_lock_in_the_database_the_race_is_real(committed_db: Clone) -> None:
    """The negative control: read, compare and write in Python loses updates."""
    AccountBalance.objects.create(code=A, balance_nano=5)
    both_have_read = threading.Barrier(2)

    def run() -> None:
        try:
            row = AccountBalance.objects.get(code=A)
            both_have_read.wait(10)
            row.balance_nano -= 1
            row.save()
        finally:
            connection.close()

    _in_threads([threading.Thread(target=run) for _ in range(2)])

    assert AccountBalance.objects.get(code=A).balance_nano == 4


@pytest.mark.leaves_findings
@pytest.mark.django_db
def test_check_4_finds_a_balance_changed_by_hand() -> None:
    fund(A, 100)
    AccountBalance.objects.filter(code=A).update(balance_nano=99)

    assert list(checks.run_all()) == ["balances_are_sums_of_postings"]


@pytest.mark.leaves_findings
@pytest.mark.django_db
def test_check_5_finds_a_journal_without_postings() -> None:
    Journal.objects.create(
        kind=Journal.Kind.FEE_ADJUSTMENT,
        key="empty",
        digest="0" * 64,
        actor="test",
        correlation_id=uuid4(),
        posted_at=AT,
    )

    assert list(checks.run_all()) == ["journals_are_whole"]


def test_accounts_of_a_deal_are_named_after_it() -> None:
    reference = UUID(int=7)

    assert PerDeal.ESCROW.of(reference) == f"ESCROW:{reference}"
