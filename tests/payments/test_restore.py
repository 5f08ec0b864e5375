"""An old backup comes back after money has left: nothing is paid twice, and the books catch up.

Each test lives on after a backup was taken, then goes on with that backup, on the same chain.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.messaging.models import OutboxMessage
from advertmarket.money import NANO_PER_TON
from ops import checks
from payments import selectors, services
from payments.books import ledger
from payments.books.chart import PLATFORM_TREASURY, PerDeal, PerWallet
from payments.chain import adoption
from payments.models import Escrow, Journal, PauseEpoch, Settlement, TonTransaction, Wallet
from payments.operations.books import AWithdrawal, withdraw
from payments.operations.settlements import ADestination, change_destination
from payments.sending import pause
from payments.sending.executor import Executor
from payments.sending.receipts import receipt_of
from payments.sending.transfers import MOST_QUOTED_NANO
from payments.wallets import TREASURY, refill_stock
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.backups import (
    MISSING,
    SKIP,
    Backups,
    adopt_chain,
    after_restore,
    assert_whole,
    foreign,
    resume,
    sweep,
    work_hard,
)
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.lines import before, line_of
from tests.payments.operations.desk import Desk
from tests.payments.threads import Meanwhile

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("english")]


def settlement(reference: UUID, kind: Settlement.Kind = Settlement.Kind.PAYOUT) -> Settlement:
    return Settlement.objects.get(reference=reference, kind=kind)


# --- the life of a deal, with a backup at each of its moments -------------------------------------


def stages(bank: Bank, reference: UUID) -> Iterator[str]:
    """Live from an open escrow to a swept wallet; a backup may be taken wherever it stops."""
    yield "before funding"
    bank.pay(reference)
    yield "paid"
    bank.apply_deposits()
    yield "funded"
    bank.release(reference)
    yield "queued"
    bank.execute()
    yield "submitted"
    bank.read()
    yield "landed"
    bank.settle()
    yield "confirmed"
    sweep(bank)
    yield "swept"


UNKNOWN_AFTERWARDS = {
    "before funding": 2,
    "paid": 2,
    "funded": 2,
    "queued": 2,
    "submitted": 1,
    "landed": 1,
    "confirmed": 1,
    "swept": 0,
}
"""How many messages the backup of a moment does not know: of the payout, and of the sweep."""


def decide_anew(bank: Bank, reference: UUID) -> None:
    """The deals side finds its deal as it was, and comes to the same end."""
    if bank.escrow(reference).state == Escrow.State.FUNDED:
        bank.release(reference)


@pytest.mark.parametrize(("moment", "unknown"), UNKNOWN_AFTERWARDS.items())
def test_nothing_is_paid_twice_and_the_books_catch_up(
    bank: Bank, backups: Backups, moment: str, unknown: int
) -> None:
    bank.set_payout_address()
    reference = bank.open_escrow()
    for stage in stages(bank, reference):
        if stage == moment:
            backups.take()
    assert bank.owner_received() == [OWNER_SHARE_NANO]

    backups.restore()
    after_restore()
    resume()  # before anything is adopted: nothing depends on their patience
    work_hard(bank)
    decide_anew(bank, reference)
    work_hard(bank)
    assert set(checks.run_all()) == (MISSING if unknown else set())
    assert len(foreign()) == unknown
    adopt_chain()
    work_hard(bank)

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert_whole(bank)
    assert selectors.settled_references([reference]) == {reference: selectors.Outcome.RELEASED}
    assert not Settlement.objects.exclude(state=Settlement.State.CONFIRMED).exists()
    assert ledger.balance(PLATFORM_TREASURY) == PRICE_NANO - OWNER_SHARE_NANO


def test_a_backup_with_a_signed_message_knows_it_when_it_lands(
    bank: Bank, backups: Backups
) -> None:
    reference = bank.payout_due()
    with before(line_of(Executor._broadcast, "self._client.send("), backups.take):
        bank.settle()

    backups.restore()
    assert bank.attempts(reference) == [TonTransaction.State.SIGNED]
    after_restore()
    with bank.pass_time(200):  # the lease of the worker that was is over, and the message's time
        work_hard(bank)
        resume()
        work_hard(bank)

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(reference) == [TonTransaction.State.CONFIRMED]
    assert bank.wallet(reference).frozen_at is None
    assert_whole(bank)


def test_a_forgotten_message_and_a_new_one_share_their_seqno_so_only_one_lands(
    bank: Bank, backups: Backups
) -> None:
    reference = bank.payout_due()
    backups.take()
    bank.chain.fault("message", "hold", blocks=3)
    bank.execute()

    backups.restore()
    after_restore()
    resume()
    bank.chain.advance(5)  # so that its time, and so its hash, is another
    bank.chain.fault("message", "swallow", times=9)
    bank.execute()  # the chain shows nothing of the first: it is signed anew
    assert bank.attempts(reference) == [TonTransaction.State.SUBMITTED]
    for _ in range(6):
        bank.read()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    [row] = foreign()
    with pytest.raises(adoption.MayStillLand):
        adopt(bank, row)
    with bank.pass_time(200):
        bank.chain.clear_faults()
        work_hard(bank)
        adopt_chain()
        work_hard(bank)
        assert bank.owner_received() == [OWNER_SHARE_NANO]
        assert_whole(bank)
    assert bank.attempts(reference) == [
        TonTransaction.State.EXPIRED,
        TonTransaction.State.ADOPTED,
    ]


def test_a_sweep_that_is_owed_again_is_the_one_that_was_sent(bank: Bank, backups: Backups) -> None:
    reference = bank.payout_due()
    bank.settle()
    backups.take()
    sweep(bank)

    backups.restore()
    after_restore()
    sweep(bank)
    adopt_chain()

    swept = settlement(reference, Settlement.Kind.COMMISSION_SWEEP)
    assert swept.state == Settlement.State.CONFIRMED
    assert ledger.balance(PLATFORM_TREASURY) == PRICE_NANO - OWNER_SHARE_NANO
    assert_whole(bank)


def test_a_refund_keeps_the_fee_that_it_kept(bank: Bank, backups: Backups) -> None:
    advertiser = PersonsWallet("advertiser")
    reference = bank.open_escrow()
    give_refund_address(bank, reference, advertiser)
    bank.pay(reference)
    bank.apply_deposits()
    backups.take()
    refund(reference)
    bank.settle()
    arrived = bank.chain.balance(advertiser.raw_address)
    assert PRICE_NANO - MOST_QUOTED_NANO < arrived < PRICE_NANO

    backups.restore()
    after_restore()
    work_hard(bank)
    refund(reference)
    adopt_chain()
    resume()
    work_hard(bank)

    assert bank.chain.balance(advertiser.raw_address) == arrived
    [row] = TonTransaction.objects.filter(state=TonTransaction.State.ADOPTED)
    assert row.withheld_nano == PRICE_NANO - arrived
    assert ledger.balance(PerDeal.REFUND_PENDING.of(reference)) == 0
    assert_whole(bank)


def test_gas_that_the_treasury_sent_is_not_sent_again(bank: Bank, backups: Backups) -> None:
    treasury = Wallet.objects.get(subwallet=TREASURY)
    bank.chain.faucet(treasury.address, 5 * NANO_PER_TON)
    bank.set_payout_address()
    reference = bank.funded_escrow()
    backups.take()
    bank.release(reference, PRICE_NANO)  # no commission, so nothing for the fee
    bank.settle(turns=12)
    assert bank.owner_received() == [PRICE_NANO]

    backups.restore()
    after_restore()
    work_hard(bank)
    bank.release(reference, PRICE_NANO)
    assert len(foreign()) == 2
    adopt_chain()
    resume()
    work_hard(bank)

    assert bank.owner_received() == [PRICE_NANO]
    top_up = settlement(reference, Settlement.Kind.GAS_TOPUP)
    assert (top_up.wallet_id, top_up.state) == (TREASURY, Settlement.State.CONFIRMED)
    assert_whole(bank)


def test_a_withdrawal_waits_for_the_sweep_that_filled_the_treasury(
    bank: Bank, backups: Backups, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    cold = PersonsWallet("cold")
    settings.TREASURY_COLD_ADDRESS = cold.raw_address
    bank.set_payout_address()
    reference = bank.funded_escrow()
    backups.take()
    bank.release(reference)
    bank.settle()
    sweep(bank)
    with transaction.atomic():
        payload = AWithdrawal(nano=5 * NANO_PER_TON, address=cold.raw_address)
        withdraw(payload, evidence=None, reason="x", actor=ACTOR, at=timezone.now())
    bank.settle()
    assert bank.chain.balance(cold.raw_address) == 5 * NANO_PER_TON

    backups.restore()
    after_restore()
    work_hard(bank)
    adopt_chain()
    said = capsys.readouterr().out
    assert "0 adopted, 3 left" in said
    assert "The treasury holds less than that here" in said
    bank.release(reference)
    adopt_chain()
    resume()
    work_hard(bank)

    assert "3 adopted, 0 left" in capsys.readouterr().out
    assert bank.chain.balance(cold.raw_address) == 5 * NANO_PER_TON
    assert ledger.balance(PLATFORM_TREASURY) == 5 * NANO_PER_TON
    assert_whole(bank)


def test_what_came_back_is_owed_again_and_held(bank: Bank, backups: Backups) -> None:
    refuser = deploy_refuser(bank)
    bank.set_payout_address(address=refuser)
    reference = bank.funded_escrow()
    bank.release(reference)
    backups.take()
    bank.settle()
    assert settlement(reference).state == Settlement.State.HELD
    arrived = len(bank.chain.transactions(refuser))

    backups.restore()
    after_restore()
    bank.read()
    adopt_chain()
    resume()
    work_hard(bank)

    assert len(bank.chain.transactions(refuser)) == arrived
    assert settlement(reference).state == Settlement.State.HELD
    assert bank.attempts(reference) == [TonTransaction.State.BOUNCED]
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == OWNER_SHARE_NANO
    assert_whole(bank)


def give_refund_address(bank: Bank, reference: UUID, advertiser: PersonsWallet) -> None:
    bank.set_payout_address()  # there is a user of this id now
    with transaction.atomic():
        services.set_refund_destination(
            reference=reference,
            user_id=bank.owner_id,
            address=advertiser.raw_address,
            comment="",
            typed_by_hand=True,
            actor=ACTOR,
            at=timezone.now(),
        )


def refund(reference: UUID) -> None:
    with transaction.atomic():
        services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())


# --- addresses ----------------------------------------------------------------------------------


def addresses_of_new_deals(bank: Bank, number: int) -> set[str]:
    found = set()
    for _ in range(number):
        refill_stock(bank.client, at=timezone.now())
        found.add(bank.wallet(bank.open_escrow()).address)
    return found


def test_no_address_that_was_given_out_is_given_out_again(bank: Bank, backups: Backups) -> None:
    backups.take()
    given = addresses_of_new_deals(bank, 5)  # from the stock, and further ones

    backups.restore()
    after_restore()

    with pytest.raises(services.NoWalletReady):
        bank.open_escrow()
    assert addresses_of_new_deals(bank, 5).isdisjoint(given)


def test_without_that_command_they_would_be(bank: Bank, backups: Backups) -> None:
    backups.take()
    given = addresses_of_new_deals(bank, 5)

    backups.restore()

    assert addresses_of_new_deals(bank, 5) == given


def test_money_for_a_deal_that_is_lost_is_booked_as_nobodys(bank: Bank, backups: Backups) -> None:
    backups.take()
    given = [bank.wallet(bank.open_escrow()).address]
    refill_stock(bank.client, at=timezone.now())
    given += addresses_of_new_deals(bank, 3)

    backups.restore()
    after_restore()
    for address in given:
        bank.chain.faucet(address, PRICE_NANO)
    bank.read()

    for wallet in Wallet.objects.filter(address__in=given):
        assert wallet.balance_nano == PRICE_NANO
        assert ledger.balance(PerWallet.UNSOLICITED.of(wallet.subwallet)) == PRICE_NANO
    assert checks.run_all() == {}


def test_a_number_that_was_drawn_and_not_stored_is_followed_too(bank: Bank) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('wallet_subwallet')")  # and then the process died

    after_restore()

    numbers = set(Wallet.objects.values_list("subwallet", flat=True))
    assert numbers == set(range(4 + SKIP + 1))


def test_the_sequence_only_goes_ahead(bank: Bank) -> None:
    after_restore()
    after_restore()

    assert Wallet.objects.filter(reserved_at__isnull=False).count() == 3 + 2 * SKIP
    refill_stock(bank.client, at=timezone.now())
    assert bank.wallet(bank.open_escrow()).subwallet == 3 + 2 * SKIP + 1


def test_what_is_given_out_already_is_not_reserved(bank: Bank) -> None:
    reference = bank.open_escrow()

    after_restore()

    assert bank.wallet(reference).reserved_at is None
    assert Wallet.objects.get(subwallet=TREASURY).reserved_at is None


def test_the_database_refuses_to_give_a_reserved_wallet_to_a_deal(bank: Bank) -> None:
    after_restore()

    with pytest.raises(IntegrityError, match="wallet_reserved_has_no_deal"):
        Wallet.objects.filter(subwallet=1).update(reference=uuid4())


# --- the pause ----------------------------------------------------------------------------------


def test_a_restored_database_is_paused_though_redis_has_its_epoch(
    bank: Bank, backups: Backups
) -> None:
    reference = bank.payout_due()
    backups.take()

    backups.restore()
    after_restore()
    bank.settle()

    assert bank.attempts(reference) == []
    assert "two operators" in settlement(reference).waiting_for
    assert bank.owner_received() == []


@pytest.mark.parametrize("second", [None, "vera"])
def test_one_operator_does_not_resume(bank: Bank, backups: Backups, second: str | None) -> None:
    after_restore()

    with pytest.raises(CommandError, match="two different operators"):
        call_command("confirm_epoch", operator="vera", second=second, reason="restored")

    assert PauseEpoch.objects.get().needs_second
    assert "two operators" in pause.pause_reason()


def test_an_operator_who_left_does_not_count(bank: Bank, backups: Backups) -> None:
    after_restore()
    Operator.objects.filter(username="igor").update(is_active=False)

    with pytest.raises(CommandError, match="no active operator igor"):
        resume()

    assert "two operators" in pause.pause_reason()


def test_the_system_is_no_operator(bank: Bank) -> None:
    after_restore()

    with pytest.raises(pause.SecondOperatorNeeded), transaction.atomic():
        pause.confirm_epoch(
            actor=Actor.operator(1), second=ACTOR, reason="restored", at=timezone.now()
        )


def test_two_operators_resume_and_both_are_named(bank: Bank, backups: Backups) -> None:
    after_restore()

    resume()

    assert pause.pause_reason() == ""
    vera, igor = Operator.objects.order_by("pk").values_list("pk", flat=True)
    assert PauseEpoch.objects.get().confirmed_by == f"operator:{vera}, operator:{igor}"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_id, entry.after["second"]) == (str(vera), f"operator:{igor}")  # type: ignore[index]  # audited with it
    bank.confirm_epoch()  # from now on one is enough again
    assert pause.pause_reason() == ""


def test_the_restore_is_audited(bank: Bank) -> None:
    after_restore()

    entry = AuditEntry.objects.get(action="payments.restored")
    epoch = str(PauseEpoch.objects.get().epoch)
    assert entry.after == {"epoch": epoch, "reserved_to": 3 + SKIP}


# --- what cannot be adopted, or not yet -----------------------------------------------------------


def adopt(bank: Bank, row: TonTransaction) -> Settlement | None:
    evidence = receipt_of(row, bank.client)
    with transaction.atomic():
        return adoption.adopt(
            chain_transaction_id=row.pk, evidence=evidence, actor=ACTOR, at=timezone.now()
        )


def paid_and_forgotten(bank: Bank, backups: Backups) -> UUID:
    """A payout that landed, in a database that knows only that it is owed."""
    reference = bank.payout_due()
    backups.take()
    bank.settle()
    backups.restore()
    after_restore()
    bank.read()
    return reference


def sign_behind_our_back(
    bank: Bank, reference: UUID, *, nano: int, to: str = "", seqno: int = 0
) -> None:
    signed = bank.signer.sign_transfer(
        subwallet=bank.wallet(reference).subwallet,
        seqno=seqno,
        valid_until=4_000_000_000,
        destination=to or PersonsWallet("thief").raw_address,
        amount_nano=nano,
        comment="",
        bounce=False,
        deploy=not seqno,
    )
    assert bank.client.send(base64.b64encode(signed.boc).decode()) == "ok"
    bank.read()
    bank.read()


@contextmanager
def nothing_changes(refusal: type[adoption.NotAdoptable]) -> Iterator[None]:
    journals = Journal.objects.count()
    rows = list(TonTransaction.objects.order_by("pk").values())
    with pytest.raises(refusal):
        yield
    assert Journal.objects.count() == journals
    assert list(TonTransaction.objects.order_by("pk").values()) == rows


def test_an_adopted_payout_is_told_once(bank: Bank, backups: Backups) -> None:
    reference = paid_and_forgotten(bank, backups)
    [row] = foreign()

    adopt(bank, row)

    told = OutboxMessage.objects.filter(key=reference)
    types = list(told.values_list("event_type", flat=True))
    assert types.count("SETTLEMENT_CONFIRMED") == types.count("ESCROW_SETTLED") == 1
    view = selectors.payout_view(reference)
    assert view is not None
    assert view.tx_hash == row.tx_hash
    with nothing_changes(adoption.NotForeign):
        adopt(bank, row)


def test_two_people_adopt_at_once_and_it_is_booked_once(bank: Bank, backups: Backups) -> None:
    paid_and_forgotten(bank, backups)
    [row] = foreign()

    other = Meanwhile(lambda: adopt(bank, row))
    with before(line_of(adoption.adopt, "row.settlement = settlement"), other):
        adopt(bank, row)

    with pytest.raises(adoption.NotForeign):
        other.result()
    assert_whole(bank)


def test_an_undecided_deal_is_decided_first(bank: Bank, backups: Backups) -> None:
    bank.set_payout_address()
    reference = bank.funded_escrow()
    backups.take()
    bank.release(reference)
    bank.settle()
    backups.restore()
    after_restore()
    bank.read()
    [row] = foreign()

    with nothing_changes(adoption.DecisionMissing):
        adopt(bank, row)

    bank.release(reference)
    adopt(bank, row)
    assert_whole(bank)


def test_an_undecided_deposit_is_decided_first(bank: Bank, backups: Backups) -> None:
    bank.set_payout_address()
    reference = bank.open_escrow()
    backups.take()
    bank.pay(reference)
    bank.apply_deposits()
    bank.release(reference)
    bank.settle()
    backups.restore()
    after_restore()
    bank.read()
    [row] = foreign()

    with nothing_changes(adoption.DepositUndecided):
        adopt(bank, row)


def test_a_lost_payout_address_is_put_back_first(bank: Bank, backups: Backups) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    backups.take()
    bank.set_payout_address()
    bank.settle()
    backups.restore()
    after_restore()
    bank.read()
    [row] = foreign()

    with nothing_changes(adoption.DestinationLost):
        adopt(bank, row)

    with transaction.atomic():
        payload = ADestination(
            settlement_id=settlement(reference).pk,
            nano=OWNER_SHARE_NANO,
            address=bank.owner.raw_address,
        )
        change_destination(payload, evidence=None, reason="x", actor=ACTOR, at=timezone.now())
    adopt(bank, row)
    assert_whole(bank)


def test_what_a_lost_deal_paid_is_left_to_people(bank: Bank, backups: Backups) -> None:
    backups.take()
    bank.payout_due()
    bank.settle()
    backups.restore()
    after_restore()
    bank.read()
    [row] = foreign()

    with nothing_changes(adoption.DealLost):
        adopt(bank, row)


def test_a_payout_that_operators_gave_back_is_given_back_again_and_adopted(
    bank: Bank, backups: Backups
) -> None:
    desk = Desk(bank)
    reference = bank.funded_escrow()
    payout = desk.unclaimed(reference)
    backups.take()
    desk.on("settlement.cancel_into_refund", payout)
    bank.settle()
    backups.restore()
    after_restore()
    bank.read()
    [row] = foreign()
    with nothing_changes(adoption.OwesOtherwise):
        adopt(bank, row)

    desk.on("settlement.cancel_into_refund", payout)
    adopt(bank, row)

    assert settlement(reference, Settlement.Kind.REFUND).state == Settlement.State.CONFIRMED
    assert settlement(reference).state == Settlement.State.CANCELLED
    assert len(bank.advertiser_received()) == 1
    assert_whole(bank)


@pytest.mark.leaves_findings
def test_a_theft_is_never_adopted(bank: Bank) -> None:
    reference = bank.payout_due()
    sign_behind_our_back(bank, reference, nano=5 * NANO_PER_TON)
    [row] = foreign()

    with nothing_changes(adoption.OwesOtherwise):
        adopt(bank, row)


@pytest.mark.leaves_findings
def test_the_same_amount_to_another_address_is_not_the_payout(bank: Bank) -> None:
    reference = bank.payout_due()
    sign_behind_our_back(bank, reference, nano=OWNER_SHARE_NANO)
    [row] = foreign()

    with nothing_changes(adoption.DestinationLost):
        adopt(bank, row)


def test_what_landed_first_is_adopted_first(bank: Bank, backups: Backups) -> None:
    reference = bank.payout_due()
    backups.take()
    bank.settle()
    sweep(bank)
    backups.restore()
    after_restore()
    bank.read()
    payout, swept = foreign()

    with nothing_changes(adoption.EarlierFirst):
        adopt(bank, swept)

    adopt(bank, payout)
    adopt(bank, swept)
    assert settlement(reference).state == Settlement.State.CONFIRMED
    assert_whole(bank)


def test_without_the_recipients_side_nothing_is_adopted(bank: Bank, backups: Backups) -> None:
    paid_and_forgotten(bank, backups)
    [row] = foreign()

    with nothing_changes(adoption.ArrivalNotSeen), transaction.atomic():
        adoption.adopt(chain_transaction_id=row.pk, evidence=None, actor=ACTOR, at=timezone.now())


def test_a_wallet_that_could_sign_is_not_adopted_from(bank: Bank, backups: Backups) -> None:
    reference = paid_and_forgotten(bank, backups)
    [row] = foreign()
    Wallet.objects.filter(reference=reference).update(frozen_at=None, frozen_reason="")

    with nothing_changes(adoption.WalletNotFrozen):
        adopt(bank, row)


def test_a_message_that_sent_nothing_only_counts(bank: Bank) -> None:
    reference = bank.payout_due()
    sign_behind_our_back(bank, reference, nano=2 * PRICE_NANO)
    [row] = foreign()

    assert adopt(bank, row) is None

    assert bank.wallet(reference).expected_seqno == 1
    assert settlement(reference).state == Settlement.State.QUEUED
    assert_whole(bank)
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


# --- the command --------------------------------------------------------------------------------


def test_a_dry_run_says_the_same_and_changes_nothing(
    bank: Bank, backups: Backups, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = paid_and_forgotten(bank, backups)
    capsys.readouterr()

    call_command("adopt_chain", dry_run=True)
    said = capsys.readouterr().out
    assert [row.state for row in foreign()] == [TonTransaction.State.FOREIGN]
    assert settlement(reference).state == Settlement.State.QUEUED
    adopt_chain()

    assert capsys.readouterr().out == said
    assert f"PAYOUT {settlement(reference).pk}, CONFIRMED" in said
    assert "1 adopted, 0 left" in said
    assert f"wallet {bank.wallet(reference).subwallet} can be unfrozen" in said


@pytest.mark.parametrize(
    "names", [{}, {"operator": "vera"}, {"operator": "vera", "second": "vera"}]
)
def test_one_operator_does_not_adopt(bank: Bank, backups: Backups, names: dict[str, str]) -> None:
    paid_and_forgotten(bank, backups)

    with pytest.raises(CommandError):
        call_command("adopt_chain", **names)

    assert len(foreign()) == 1


def test_an_adoption_is_audited_with_both_operators(bank: Bank, backups: Backups) -> None:
    reference = paid_and_forgotten(bank, backups)

    adopt_chain()

    entry = AuditEntry.objects.get(action="wallet.adopted")
    vera, igor = Operator.objects.order_by("pk").values_list("pk", flat=True)
    assert (entry.actor_kind, entry.actor_id) == ("operator", str(vera))
    assert entry.after == {
        "state": "ADOPTED",
        "settlement": str(settlement(reference).pk),
        "sent_nano": OWNER_SHARE_NANO,
        "second": f"operator:{igor}",
    }
