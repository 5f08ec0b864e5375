"""What had left unseen before operators gave it up: it stops its wallet, and is put right."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments.chain import adoption
from payments.models import Escrow, Journal, Settlement, TonTransaction
from payments.operations.books import NotReversible
from payments.operations.settlements import NotAsItStands
from payments.sending.receipts import receipt_of
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.operations.desk import Desk, about, nothing_changes
from tests.payments.overlooking import read_but
from tests.payments.walk.life import Life

pytestmark = pytest.mark.thorough

S = Settlement.State
TON = 1_000_000_000


def landed_unseen(life: Life, reference: UUID) -> None:
    """What was signed lands; the indexer shows neither that nor the wallet's new seqno."""
    bank = life.bank
    bank.execute()
    bank.chain.mine(2)
    life.pass_time(200)
    read_but(bank, bank.wallet(reference))
    bank.execute()
    bank.chain.fault("walletInformation", "lagging", blocks=1_000, times=2)


def adopt_what_landed(bank: Bank) -> None:
    """As `adopt_chain` does."""
    row = TonTransaction.objects.get(state="FOREIGN")
    with transaction.atomic():
        adoption.adopt(
            chain_transaction_id=row.pk,
            evidence=receipt_of(row, bank.client),
            actor=ACTOR,
            at=timezone.now(),
        )


def found_after_it_was_given_back(desk: Desk, life: Life, reference: UUID) -> Journal:
    """The owner has the payout, and the advertiser is owed it; return the journal of that."""
    landed_unseen(life, reference)
    desk.on("settlement.cancel_into_refund", life.bank.settlement(reference))
    life.bank.deposit(reference, 1)
    return Journal.objects.get(kind="UNCLAIMED_REFUND")


@pytest.mark.leaves_findings
def test_a_payout_that_is_found_after_it_was_given_back_stops_its_wallet_alone(
    desk: Desk, bank: Bank, life: Life
) -> None:
    """The reader could not book it: it stood still, and no deposit came in any more."""
    reference = bank.payout_due()
    landed_unseen(life, reference)
    desk.on("settlement.cancel_into_refund", bank.settlement(reference))
    assert bank.owner_received() == [OWNER_SHARE_NANO]

    bank.deposit(reference, 1)  # reveals what was overlooked

    assert bank.attempts(reference) == ["EXPIRED"]
    row = TonTransaction.objects.get(state="FOREIGN")
    assert (row.sent_nano, row.destination) == (OWNER_SHARE_NANO, bank.owner.raw_address)
    frozen = f"a message of a cancelled transfer landed ({row.tx_hash})"
    assert bank.wallet(reference).frozen_reason == frozen
    assert bank.holds(reference)["REFUND_PENDING"] == PRICE_NANO
    bank.settle()
    assert bank.advertiser_received() == []
    assert bank.escrow(bank.funded_escrow()).state == Escrow.State.FUNDED


def test_a_payout_that_is_found_after_it_was_given_back_is_owed_again_and_adopted(
    desk: Desk, bank: Bank, life: Life
) -> None:
    reference = bank.payout_due()
    given_back = found_after_it_was_given_back(desk, life, reference)

    desk.do("journal.reverse", tx_ref=str(given_back.pk))
    payout = bank.settlement(reference)
    assert (payout.state, payout.waiting_for) == (
        S.HELD,
        "had left when it was given back: adopt it",
    )
    assert bank.settlement(reference, Settlement.Kind.REFUND).state == S.CANCELLED
    assert not OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").exists()
    adopt_what_landed(bank)

    assert bank.settlement(reference).state == S.CONFIRMED
    assert bank.escrow(reference).state == Escrow.State.RELEASED
    [settled] = OutboxMessage.objects.filter(event_type="ESCROW_SETTLED")
    assert settled.payload["outcome"] == "RELEASED"
    desk.do("wallet.unfreeze", subwallet=bank.wallet(reference).subwallet)
    bank.sweep()
    bank.settle()
    assert bank.settlement(reference, Settlement.Kind.COMMISSION_SWEEP).state == S.CONFIRMED
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.advertiser_received() == []
    assert bank.holds(reference) == {}


def test_one_that_had_left_for_a_contract_that_sent_it_back_is_given_back_anew(
    desk: Desk, bank: Bank, life: Life
) -> None:
    bank.set_payout_address(address=deploy_refuser(bank))
    reference = bank.funded_escrow()
    bank.release(reference)
    given_back = found_after_it_was_given_back(desk, life, reference)
    bank.read()
    bank.read()
    desk.do("journal.reverse", tx_ref=str(given_back.pk))
    adopt_what_landed(bank)
    payout = bank.settlement(reference)
    assert (payout.state, payout.waiting_for) == (S.HELD, "the recipient's contract sent it back")
    desk.do("wallet.unfreeze", subwallet=bank.wallet(reference).subwallet)

    desk.on("settlement.cancel_into_refund", payout)
    bank.settle()

    refunds = Settlement.objects.filter(kind=Settlement.Kind.REFUND).order_by("created_at")
    assert [one.state for one in refunds] == [S.CANCELLED, S.CONFIRMED]
    assert len(bank.advertiser_received()) == 1
    assert bank.holds(reference) == {}
    assert bank.escrow(reference).state == Escrow.State.REFUNDED


@pytest.mark.leaves_findings
def test_a_split_is_a_split_again(desk: Desk, bank: Bank, life: Life) -> None:
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.split(reference, PRICE_NANO)
    given_back = found_after_it_was_given_back(desk, life, reference)

    desk.do("journal.reverse", tx_ref=str(given_back.pk))

    assert bank.escrow(reference).state == Escrow.State.SPLIT


def test_what_was_given_back_before_anything_left_stays_given_back(
    desk: Desk, bank: Bank, life: Life
) -> None:
    reference = bank.funded_escrow()
    desk.on("settlement.cancel_into_refund", desk.unclaimed(reference))
    given_back = Journal.objects.get(kind="UNCLAIMED_REFUND")
    desk.do("wallet.freeze", subwallet=bank.wallet(reference).subwallet)
    request = desk.ask("journal.reverse", tx_ref=str(given_back.pk))

    with nothing_changes(), pytest.raises(NotAsItStands):
        desk.approve(request)


@pytest.mark.leaves_findings
def test_until_then_it_is_adopted_as_nothing_else(desk: Desk, bank: Bank, life: Life) -> None:
    """The refund differs by a commission that is not above a fee: it seemed to be that."""
    bank.set_payout_address()
    reference = bank.refundable_escrow(TON)
    bank.pay(reference, TON)
    bank.apply_deposits()
    bank.release(reference, TON * 9 // 10)
    found_after_it_was_given_back(desk, life, reference)

    with nothing_changes(), pytest.raises(adoption.GivenUp):
        adopt_what_landed(bank)


@pytest.mark.leaves_findings
@pytest.mark.usefixtures("english")
def test_a_second_time_it_is_not_reversed(desk: Desk, bank: Bank, life: Life) -> None:
    reference = bank.payout_due()
    given_back = found_after_it_was_given_back(desk, life, reference)
    first, second = (desk.ask("journal.reverse", tx_ref=str(given_back.pk)) for _ in range(2))
    desk.approve(first)

    with nothing_changes(), pytest.raises(NotReversible, match="reversed before"):
        desk.approve(second)


@pytest.mark.leaves_findings
@pytest.mark.usefixtures("english")
def test_its_refund_is_not_written_off_meanwhile(desk: Desk, bank: Bank, life: Life) -> None:
    """The deal would be over as refunded, and its owner has been paid."""
    bank.set_payout_address()
    reference = bank.addressless_escrow()
    bank.release(reference)
    found_after_it_was_given_back(desk, life, reference)
    refund = bank.settlement(reference, Settlement.Kind.REFUND)
    request = desk.ask("settlement.write_off", **about(refund, "settlement.write_off"))

    with nothing_changes(), pytest.raises(NotAsItStands, match="reverse that first"):
        desk.approve(request)


def test_it_is_known_though_its_owner_wants_payouts_elsewhere_by_now(
    desk: Desk, bank: Bank, life: Life
) -> None:
    reference = bank.payout_due()
    given_back = found_after_it_was_given_back(desk, life, reference)
    bank.set_payout_address(address=PersonsWallet("elsewhere").raw_address)

    desk.do("journal.reverse", tx_ref=str(given_back.pk))
    adopt_what_landed(bank)

    assert bank.settlement(reference).state == S.CONFIRMED
    desk.do("wallet.unfreeze", subwallet=bank.wallet(reference).subwallet)
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_one_whose_signature_a_restore_lost_is_owed_again_and_adopted(
    desk: Desk, bank: Bank, life: Life
) -> None:
    reference = bank.payout_due()
    payout = bank.settlement(reference)
    backup = Settlement.objects.filter(pk=payout.pk).values().get()
    landed_unseen(life, reference)
    payout.chain_transactions.all().delete()
    Settlement.objects.filter(pk=payout.pk).update(**backup)
    desk.on("settlement.cancel_into_refund", payout)
    bank.deposit(reference, 1)
    with nothing_changes(), pytest.raises(adoption.GivenUp):
        adopt_what_landed(bank)

    given_back = Journal.objects.get(kind="UNCLAIMED_REFUND")
    desk.do("journal.reverse", tx_ref=str(given_back.pk))
    adopt_what_landed(bank)

    assert bank.settlement(reference).state == S.CONFIRMED
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    desk.do("wallet.unfreeze", subwallet=bank.wallet(reference).subwallet)


@pytest.mark.leaves_findings
def test_what_left_to_somebody_else_is_no_payout_that_had_left(
    desk: Desk, bank: Bank, life: Life
) -> None:
    reference = bank.payout_due()
    given_back = found_after_it_was_given_back(desk, life, reference)
    TonTransaction.objects.filter(state="FOREIGN").update(
        destination=bank.advertiser.raw_address, body_hash="ab" * 32
    )
    request = desk.ask("journal.reverse", tx_ref=str(given_back.pk))

    with nothing_changes(), pytest.raises(NotAsItStands):
        desk.approve(request)


@pytest.mark.leaves_findings
def test_a_refund_that_may_be_on_its_way_is_not_taken_back(
    desk: Desk, bank: Bank, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed while the node still hid that the payout had left; its seqno is taken, so it waits."""
    reference = bank.payout_due()
    hidden = bank.client.wallet_state(bank.wallet(reference).address)
    landed_unseen(life, reference)
    desk.on("settlement.cancel_into_refund", bank.settlement(reference))
    bank.chain.fault("message", "swallow")
    with monkeypatch.context() as lying:
        lying.setattr(bank.api, "wallet_state", lambda *_: hidden)
        lying.setattr(bank.api, "estimate_fee", lambda *_: 6_000_000)
        bank.execute()
    bank.deposit(reference, 1)
    given_back = Journal.objects.get(kind="UNCLAIMED_REFUND")
    assert bank.attempts(reference, Settlement.Kind.REFUND) == ["SUBMITTED"]
    request = desk.ask("journal.reverse", tx_ref=str(given_back.pk))

    with nothing_changes(), pytest.raises(NotAsItStands):
        desk.approve(request)


def test_a_refund_that_is_found_after_it_was_written_off_is_owed_again_and_adopted(
    desk: Desk, bank: Bank, life: Life
) -> None:
    reference = bank.refund_due()
    landed_unseen(life, reference)
    refund = bank.settlement(reference, Settlement.Kind.REFUND)
    desk.on("settlement.write_off", refund)
    bank.deposit(reference, 1)
    written_off = Journal.objects.get(key__startswith=f"writeoff:{refund.pk}")

    desk.do("journal.reverse", tx_ref=str(written_off.pk))
    adopt_what_landed(bank)

    assert bank.settlement(reference, Settlement.Kind.REFUND).state == S.CONFIRMED
    assert len(bank.advertiser_received()) == 1
    assert bank.holds(reference) == {}
    desk.do("wallet.unfreeze", subwallet=bank.wallet(reference).subwallet)


def test_what_came_unasked_and_had_left_is_asked_for_again_and_adopted(
    desk: Desk, bank: Bank, life: Life
) -> None:
    """No journal is reversed there: given up, it is nobody's again."""
    reference = bank.funded_escrow()
    wallet, sender = bank.wallet(reference), PersonsWallet("sender")
    bank.chain.faucet(wallet.address, TON, jetton_notice=True)
    bank.read()
    back = {"subwallet": wallet.subwallet, "nano": TON, "address": sender.raw_address}
    desk.do("wallet.send_back", **back)
    landed_unseen(life, reference)
    desk.on("settlement.write_off", Settlement.objects.get())
    bank.deposit(reference, 1)

    desk.do("wallet.send_back", **back)
    adopt_what_landed(bank)

    returns = Settlement.objects.filter(kind="UNSOLICITED_REFUND").order_by("created_at")
    assert [one.state for one in returns] == [S.CANCELLED, S.CONFIRMED]
    assert len(bank.received_at(sender.raw_address)) == 1
    desk.do("wallet.unfreeze", subwallet=wallet.subwallet)
