"""Money that came unasked goes back to whom operators know that it is: once, and no more of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django.fixtures import Settings

from accounts.services import CommentTooLong, mask_address
from advertmarket.audit.models import AuditEntry
from ops import checks
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PLATFORM_TREASURY, PerWallet
from payments.books.ledger import InsufficientFunds
from payments.models import Journal, OperatorRequest, Settlement, TonTransaction, Wallet
from payments.operations import wallets
from payments.operations.books import NotReversible
from payments.operations.requests import RequestNotOpen
from payments.operations.wallets import (
    ReturnUnderWay,
    TakenSince,
    TooLittleToSendBack,
    TreasuryIsClaimed,
)
from payments.thresholds import DUST_NANO
from payments.wallets import NoSuchWallet, OwnAddress
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.operators import hire
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.lines import before, line_of
from tests.payments.operations.desk import Desk, nothing_changes, treasury
from tests.payments.threads import Meanwhile, together

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
CAME_NANO = 5 * TON
ASKED = (OperatorRequest, AuditEntry)
RETURN = Settlement.Kind.UNSOLICITED_REFUND
S = Settlement.State
BEFORE_IT_IS_OWED = line_of(wallets.send_back, "settlement = settlements.owe(")


def unused(bank: Bank, nano: int = CAME_NANO) -> Wallet:
    """A wallet that serves no deal, to which a stranger sent something."""
    stock = Wallet.objects.filter(reference=None, subwallet__gt=0, last_lt=0)
    wallet = stock.order_by("subwallet")[0]
    bank.chain.faucet(wallet.address, nano)
    bank.read()
    return wallet


def beside_a_jetton(bank: Bank, reference: UUID, nano: int = CAME_NANO) -> Wallet:
    """The wallet of a deal, to which coins came beside a jetton."""
    wallet = bank.wallet(reference)
    bank.chain.faucet(wallet.address, nano, jetton_notice=True)
    bank.read()
    return wallet


def back(wallet: Wallet, to: str, nano: int = CAME_NANO, **more: Any) -> dict[str, Any]:
    """What operators say of what goes back."""
    return {"subwallet": wallet.subwallet, "nano": nano, "address": to, **more}


def nobodys(wallet: Wallet) -> int:
    return ledger.balance(PerWallet.UNSOLICITED.of(wallet.subwallet))


def returning(wallet: Wallet) -> int:
    return ledger.balance(PerWallet.RETURNING.of(wallet.subwallet))


def the_return() -> Settlement:
    return Settlement.objects.filter(kind=RETURN).latest("created_at")


@pytest.fixture
def sender(bank: Bank) -> PersonsWallet:
    """Whose the money is, as operators know."""
    return PersonsWallet(f"sender {uuid4()}")


# --- the way --------------------------------------------------------------------------------------


def test_what_a_stranger_sent_goes_back_less_its_fee(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)

    request = desk.do("wallet.send_back", **back(wallet, sender.raw_address))
    assert (nobodys(wallet), returning(wallet)) == (0, CAME_NANO)
    bank.settle()

    settlement = the_return()
    assert (settlement.state, settlement.payee_id) == (S.CONFIRMED, None)
    assert settlement.reference == UUID(int=wallet.subwallet)
    [attempt] = settlement.chain_transactions.all()
    assert bank.received_at(sender.raw_address) == [attempt.sent_nano]
    assert attempt.sent_nano == CAME_NANO - attempt.withheld_nano
    fees = bank.fees(wallet)
    assert fees < attempt.withheld_nano <= fees * 5 // 4
    assert (nobodys(wallet), returning(wallet)) == (0, 0)
    assert bank.chain.balance(wallet.address) == attempt.withheld_nano - fees
    assert request.needs_second
    first, second = Journal.objects.filter(kind__in=["UNSOLICITED_REFUND", "REFUND_SENT"]).order_by(
        "posted_at"
    )
    assert (first.key, first.actor) == (f"return:{settlement.pk}", f"operator:{desk.boris}")
    assert second.key == f"out:{wallet.address}:{attempt.lt}"


def test_the_books_are_whole_at_every_step(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)
    steps: list[Callable[[], object]] = [
        lambda: desk.do("wallet.send_back", **back(wallet, sender.raw_address)),
        bank.execute,
        bank.read,
        bank.execute,
        bank.read,
        bank.execute,
    ]

    seen = []
    for step in steps:
        step()
        assert checks.run_all() == {}
        seen.append((the_return().state, returning(wallet)))

    assert seen[0] == (S.QUEUED, CAME_NANO)
    assert (S.SUBMITTED, CAME_NANO) in seen
    assert (S.SUBMITTED, 0) in seen
    assert seen[-1] == (S.CONFIRMED, 0)


def test_coins_beside_a_jetton_go_back_and_the_deal_has_its_own(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    reference = bank.payout_due()
    wallet = beside_a_jetton(bank, reference)

    desk.do("wallet.send_back", **back(wallet, sender.raw_address))
    bank.settle()
    bank.sweep()
    bank.settle()

    assert the_return().reference == reference
    [withheld] = bank.withheld(reference, RETURN)
    assert bank.received_at(sender.raw_address) == [CAME_NANO - withheld]
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert ledger.balance(PLATFORM_TREASURY) == PRICE_NANO - OWNER_SHARE_NANO
    assert bank.holds(reference) == {}


def test_a_sweep_waits_for_what_goes_back_and_leaves_it(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    reference = bank.payout_due()
    bank.settle()
    wallet = beside_a_jetton(bank, reference)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address))
    desk.on("settlement.hold", the_return())

    bank.sweep()
    assert not Settlement.objects.filter(kind="COMMISSION_SWEEP").exists()
    held = the_return()
    desk.on("settlement.release", held, held_for=held.waiting_for)
    bank.settle()
    bank.sweep()
    bank.settle()

    assert bank.attempts(reference, RETURN) == ["CONFIRMED"]
    assert bank.attempts(reference, Settlement.Kind.COMMISSION_SWEEP) == ["CONFIRMED"]


def test_a_comment_is_sent_along_and_the_audit_log_masks_the_address(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)

    request = desk.do(
        "wallet.send_back", **back(wallet, sender.raw_address, comment="account 4711")
    )
    bank.settle()

    [arrived] = bank.chain.transactions(sender.raw_address)
    assert arrived["in_msg"]["message_content"]["decoded"]["comment"] == "account 4711"
    entry = AuditEntry.objects.get(object_id=str(request.pk), action="wallet.send_back.done")
    assert entry.after is not None
    assert entry.after["payload"] == {
        **back(wallet, mask_address(sender.raw_address), comment="account 4711"),
        "taken_nano": 0,
    }


def test_a_part_goes_back_and_the_rest_later(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address, 2 * TON))
    bank.settle()
    assert nobodys(wallet) == 3 * TON

    desk.do("wallet.send_back", **back(wallet, sender.raw_address, 3 * TON))
    bank.settle()

    first, second = bank.withheld(UUID(int=wallet.subwallet), RETURN)
    assert bank.received_at(sender.raw_address) == [2 * TON - first, 3 * TON - second]
    assert nobodys(wallet) == 0


# --- what is refused ------------------------------------------------------------------------------


def test_one_operator_sends_nothing(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)

    with nothing_changes(but=ASKED):
        request = desk.ask("wallet.send_back", **back(wallet, sender.raw_address, DUST_NANO))

    assert request.state == OperatorRequest.State.PENDING


def test_more_than_came_is_not_sent(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)
    unused(bank)  # another wallet has money, too

    with nothing_changes(but=ASKED), pytest.raises(InsufficientFunds):
        desk.do("wallet.send_back", **back(wallet, sender.raw_address, CAME_NANO + 1))


def test_what_a_deal_holds_is_not_sent(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = beside_a_jetton(bank, bank.funded_escrow(), TON)

    with nothing_changes(but=ASKED), pytest.raises(InsufficientFunds):
        desk.do("wallet.send_back", **back(wallet, sender.raw_address, TON + 1))


def test_what_was_claimed_is_not_sent(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)
    desk.do("treasury.claim", subwallet=wallet.subwallet, nano=TON, key=str(uuid4()))

    with nothing_changes(but=ASKED), pytest.raises(InsufficientFunds):
        desk.do("wallet.send_back", **back(wallet, sender.raw_address))


def test_what_goes_back_is_not_claimed(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address))

    with nothing_changes(but=ASKED), pytest.raises(InsufficientFunds):
        desk.do("treasury.claim", subwallet=wallet.subwallet, nano=1, key=str(uuid4()))


def test_what_came_to_the_treasury_is_only_claimed(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    bank.fund_treasury()

    with nothing_changes(), pytest.raises(TreasuryIsClaimed):
        desk.ask("wallet.send_back", **back(treasury(), sender.raw_address, TON))


def test_dust_is_not_sent_back(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    """A wallet that has next to nothing refuses even to be asked about a fee."""
    dust = back(unused(bank), sender.raw_address, DUST_NANO - 1)

    with nothing_changes(), pytest.raises(TooLittleToSendBack, match="10000000"):
        desk.ask("wallet.send_back", **dust)


def test_nothing_is_sent_back_to_ourselves(desk: Desk, bank: Bank) -> None:
    wallet = unused(bank)

    for own in (wallet, treasury()):
        with nothing_changes(), pytest.raises(OwnAddress):
            desk.ask("wallet.send_back", **back(wallet, own.address))


def test_what_becomes_a_wallet_of_ours_after_the_asking_is_refused(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)
    request = desk.ask("wallet.send_back", **back(wallet, sender.raw_address))
    Wallet.objects.filter(subwallet=wallet.subwallet + 1).update(address=sender.raw_address)

    with nothing_changes(), pytest.raises(OwnAddress):
        desk.approve(request)


def test_a_comment_that_is_too_long_is_not_even_asked_for(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)

    with nothing_changes(), pytest.raises(CommentTooLong):
        desk.ask("wallet.send_back", **back(wallet, sender.raw_address, comment="ж" * 500))


def test_a_wallet_that_is_not_there_sends_nothing(desk: Desk, sender: PersonsWallet) -> None:
    with nothing_changes(but=ASKED), pytest.raises(NoSuchWallet):
        desk.do("wallet.send_back", subwallet=99_999, nano=TON, address=sender.raw_address)


# --- twice ----------------------------------------------------------------------------------------


def test_of_two_requests_about_the_same_money_one_is_carried_out(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    """There would be enough for both: the other half is somebody else's."""
    wallet = unused(bank, 2 * CAME_NANO)
    both = [desk.ask("wallet.send_back", **back(wallet, sender.raw_address)) for _ in range(2)]
    desk.approve(both[0])
    bank.settle()
    bank.chain.faucet(wallet.address, CAME_NANO)
    bank.read()

    with nothing_changes(), pytest.raises(TakenSince):
        desk.approve(both[1])

    assert len(bank.received_at(sender.raw_address)) == 1
    assert nobodys(wallet) == 2 * CAME_NANO


def test_who_says_what_was_taken_cannot_say_it_for_later(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)

    with nothing_changes(but=ASKED), pytest.raises(TakenSince):
        desk.do("wallet.send_back", **back(wallet, sender.raw_address, taken_nano=TON))


def test_two_who_approve_at_once_send_it_once(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    third = hire("third", "approve_money")
    wallet = unused(bank, 2 * CAME_NANO)
    both = [desk.ask("wallet.send_back", **back(wallet, sender.raw_address)) for _ in range(2)]
    other = Meanwhile(lambda: desk.approve(both[1], by=third))

    with before(BEFORE_IT_IS_OWED, other):
        desk.approve(both[0])

    with pytest.raises(TakenSince):
        other.result()
    bank.settle()
    assert Settlement.objects.filter(kind=RETURN).count() == 1
    assert len(bank.received_at(sender.raw_address)) == 1
    assert nobodys(wallet) == CAME_NANO


def test_without_the_wallets_lock_the_database_still_refuses_the_second(
    desk: Desk, bank: Bank, sender: PersonsWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: both see that nothing was taken."""
    monkeypatch.setattr(
        "payments.wallets.lock_wallet", lambda subwallet: Wallet.objects.get(pk=subwallet)
    )
    wallet = unused(bank, 2 * CAME_NANO)
    both = [desk.ask("wallet.send_back", **back(wallet, sender.raw_address)) for _ in range(2)]
    third = hire("third", "approve_money")
    other = Meanwhile(lambda: desk.approve(both[1], by=third))

    with before(BEFORE_IT_IS_OWED, other), pytest.raises(ReturnUnderWay):
        desk.approve(both[0])

    other.result()
    assert returning(wallet) == CAME_NANO


def test_one_request_that_two_approve_is_carried_out_once(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    third = hire("third", "approve_money")
    request = desk.ask("wallet.send_back", **back(unused(bank), sender.raw_address, TON))

    runs = together(*[lambda by=by: desk.approve(request, by=by) for by in (desk.boris, third)])

    refusals = [run.exception() for run in runs if run.exception()]
    assert [type(refusal) for refusal in refusals] == [RequestNotOpen]
    assert Settlement.objects.filter(kind=RETURN).count() == 1


def test_a_wallet_sends_one_sum_back_at_a_time(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address, TON))
    next_one = desk.ask("wallet.send_back", **back(wallet, sender.raw_address, TON))

    with nothing_changes(), pytest.raises(ReturnUnderWay):
        desk.approve(next_one)

    bank.settle()
    desk.approve(next_one)
    bank.settle()
    assert len(bank.received_at(sender.raw_address)) == 2


# --- what stops it --------------------------------------------------------------------------------


def test_a_frozen_wallet_sends_nothing_back(desk: Desk, bank: Bank, sender: PersonsWallet) -> None:
    wallet = unused(bank)
    desk.do("wallet.freeze", subwallet=wallet.subwallet)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address))

    bank.settle(turns=3)
    assert not TonTransaction.objects.filter(direction="OUT").exists()
    assert (the_return().state, returning(wallet)) == (S.QUEUED, CAME_NANO)

    desk.do("wallet.unfreeze", subwallet=wallet.subwallet)
    bank.settle()
    assert len(bank.received_at(sender.raw_address)) == 1


def test_the_signers_limits_count_it(
    desk: Desk, bank: Bank, sender: PersonsWallet, settings: Settings
) -> None:
    """In the window of what somebody decided, beside payouts."""
    unlimited = 10**18
    settings.SIGNING_LIMITS_NANO = {
        "transfer": unlimited,
        "hour": OWNER_SHARE_NANO + CAME_NANO - TON,
        "day": unlimited,
    }
    bank.payout_due()
    bank.settle()
    desk.do("wallet.send_back", **back(unused(bank), sender.raw_address))

    bank.settle(turns=2)
    assert bank.received_at(sender.raw_address) == []
    assert "signed per hour" in the_return().waiting_for

    settings.SIGNING_LIMITS_NANO = {**settings.SIGNING_LIMITS_NANO, "hour": unlimited}
    bank.settle()
    assert len(bank.received_at(sender.raw_address)) == 1


# --- what comes back, and what is given up --------------------------------------------------------


def test_what_a_contract_sent_back_is_held_whole_and_goes_elsewhere(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)
    desk.do("wallet.send_back", **back(wallet, deploy_refuser(bank)))
    bank.settle()

    held = the_return()
    assert (held.state, held.waiting_for) == (S.HELD, "the recipient's contract sent it back")
    assert (nobodys(wallet), returning(wallet)) == (0, CAME_NANO)
    assert wallet.frozen_reason == ""
    assert checks.run_all() == {}

    desk.on("settlement.change_destination", held, address=sender.raw_address)
    desk.on("settlement.release", held, held_for=held.waiting_for)
    bank.settle()

    bounced, sent = the_return().chain_transactions.order_by("pk")
    assert (bounced.state, sent.state) == ("BOUNCED", "CONFIRMED")
    assert bank.received_at(sender.raw_address) == [sent.sent_nano]
    assert CAME_NANO - 20_000_000 < sent.sent_nano < CAME_NANO - bank.fees(wallet)
    assert returning(wallet) == 0


def test_where_the_way_ate_the_fee_the_treasury_sends_gas(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    bank.fund_treasury()
    wallet = unused(bank, 15_000_000)
    desk.do("wallet.send_back", **back(wallet, deploy_refuser(bank), 15_000_000))
    bank.settle()
    held = the_return()
    assert held.state == S.HELD

    desk.on("settlement.change_destination", held, address=sender.raw_address)
    desk.on("settlement.release", held, held_for=held.waiting_for)
    bank.settle(turns=12)

    gas = Settlement.objects.get(kind="GAS_TOPUP")
    assert (gas.state, gas.reference) == (S.CONFIRMED, UUID(int=wallet.subwallet))
    assert the_return().state == S.CONFIRMED
    assert len(bank.received_at(sender.raw_address)) == 1


def test_what_is_given_up_is_nobodys_again_and_can_go_elsewhere(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank)
    desk.do("wallet.send_back", **back(wallet, PersonsWallet("mistaken").raw_address))
    first = the_return()

    desk.on("settlement.write_off", first)

    assert (the_return().state, ledger.balance(DUST_WRITEOFF)) == (S.CANCELLED, 0)
    assert (nobodys(wallet), returning(wallet)) == (CAME_NANO, 0)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address))
    bank.settle()
    assert len(bank.received_at(sender.raw_address)) == 1
    assert the_return().pk != first.pk


def test_neither_the_sending_back_nor_its_end_is_reversed(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    desk.do("wallet.send_back", **back(unused(bank), sender.raw_address))
    desk.on("settlement.write_off", the_return())

    journals = Journal.objects.filter(kind="UNSOLICITED_REFUND")
    assert len(journals) == 2
    for journal in journals:
        with nothing_changes(but=ASKED), pytest.raises(NotReversible):
            desk.do("journal.reverse", tx_ref=str(journal.pk))


def test_what_is_not_worth_its_fee_stays_nobodys(
    desk: Desk, bank: Bank, sender: PersonsWallet
) -> None:
    wallet = unused(bank, 10_000_000)
    desk.do("wallet.send_back", **back(wallet, sender.raw_address, 10_000_000))

    bank.settle(turns=2)

    ended = the_return()
    assert (ended.state, ended.waiting_for) == (S.CANCELLED, "not worth its fee")
    assert (nobodys(wallet), returning(wallet)) == (10_000_000, 0)
    assert bank.received_at(sender.raw_address) == []
