"""What goes back to the advertiser: all of it less the quoted fee, judged by the chain."""

from __future__ import annotations

from contextlib import closing

import pytest
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments import own_money, selectors
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PerWallet
from payments.models import Settlement, Wallet
from payments.sending import executor, transfers
from payments.sending.executor import Executor
from payments.sending.waiting import Waiting, waiting_for
from payments.services import EscrowNotFunded, SplitNotPossible
from payments.ton.client import TonClient
from payments.ton.wallet import FeeQuestion, subwallet_address
from payments.wallets import OwnAddress, refill_stock
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ADVERTISER_ID, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser

TON = 1_000_000_000
Kind = Settlement.Kind


# --- the whole escrow -----------------------------------------------------------------------------


def test_the_whole_escrow_goes_back_less_the_quote(bank: Bank) -> None:
    """From a wallet that is not deployed yet: its first transfer brings the contract."""
    reference = bank.refund_due()

    bank.settle()

    [withheld] = bank.withheld(reference, Kind.REFUND)
    assert bank.advertiser_received() == [PRICE_NANO - withheld]
    assert bank.holds(reference) == {}
    assert bank.settlement(reference, Kind.REFUND).state == "CONFIRMED"
    assert bank.attempts(reference, Kind.REFUND) == ["CONFIRMED"]


def test_the_quote_is_a_fifth_above_what_the_chain_takes(bank: Bank) -> None:
    reference = bank.refund_due()

    bank.settle()

    wallet = bank.wallet(reference)
    [withheld] = bank.withheld(reference, Kind.REFUND)
    fee = bank.fees(wallet)
    assert fee <= withheld <= fee * 5 // 4
    assert bank.chain.balance(wallet.address) == wallet.balance_nano == withheld - fee


def test_a_refund_asked_again_changes_nothing(bank: Bank) -> None:
    reference = bank.refund_due()
    bank.refund(reference)
    bank.settle()

    bank.refund(reference)
    bank.settle(turns=2)

    assert len(bank.advertiser_received()) == 1
    assert Settlement.objects.count() == 1


def test_an_unpaid_deal_has_nothing_to_refund(bank: Bank) -> None:
    reference = bank.refundable_escrow()

    with pytest.raises(EscrowNotFunded):
        bank.refund(reference)

    assert not Settlement.objects.exists()


def test_what_was_refunded_is_not_released(bank: Bank) -> None:
    reference = bank.refund_due()

    with pytest.raises(EscrowNotFunded):
        bank.release(reference)
    with pytest.raises(EscrowNotFunded):
        bank.split(reference)

    assert bank.holds(reference) == {"REFUND_PENDING": PRICE_NANO}


def test_a_comment_travels_with_the_refund(bank: Bank) -> None:
    """An exchange knows by it whose money it is."""
    reference = bank.open_escrow()
    bank.set_refund_address(reference, comment="memo 42")
    bank.deposit(reference)
    bank.refund(reference)

    bank.settle()

    [received] = bank.chain.transactions(bank.advertiser.raw_address)
    assert received["in_msg"]["message_content"]["decoded"]["comment"] == "memo 42"


def test_a_refund_is_told_when_all_of_it_has_arrived(bank: Bank) -> None:
    reference = bank.refund_due()
    bank.execute()
    bank.read()
    assert not OutboxMessage.objects.filter(event_type="ESCROW_SETTLED").exists()

    bank.settle()

    settled = OutboxMessage.objects.get(event_type="ESCROW_SETTLED")
    assert (settled.key, settled.payload["outcome"]) == (reference, "REFUNDED")
    assert selectors.settled_references([reference]) == {reference: selectors.Outcome.REFUNDED}


class Overcharged(TonClient):
    """An indexer that takes a transfer for a very dear one."""

    fee_nano = 0

    def estimate_fee(self, address: str, question: FeeQuestion) -> int:
        """A lie."""
        return self.fee_nano


@pytest.mark.parametrize("fee_nano", [TON, 2 * PRICE_NANO])
def test_no_refund_bears_a_fee_that_cannot_be_true(bank: Bank, fee_nano: int) -> None:
    """Nor is it written off as not worth it."""
    reference = bank.refund_due()
    with closing(Overcharged()) as liar:
        liar.fee_nano = fee_nano
        Executor(liar, bank.signer).run(at_most=1)

    assert bank.attempts(reference, Kind.REFUND) == []
    assert bank.holds(reference) == {"REFUND_PENDING": PRICE_NANO}
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").count() == 1
    bank.settle()
    [withheld] = bank.withheld(reference, Kind.REFUND)
    assert bank.advertiser_received() == [PRICE_NANO - withheld]


def test_a_refund_of_less_than_its_fee_is_written_off(bank: Bank) -> None:
    price_nano = 2_000_000
    reference = bank.refundable_escrow(price_nano)
    bank.deposit(reference, price_nano)
    bank.refund(reference)

    bank.settle(turns=2)

    assert bank.advertiser_received() == []
    assert bank.holds(reference) == {}
    assert ledger.balance(DUST_WRITEOFF) == price_nano
    settlement = bank.settlement(reference, Kind.REFUND)
    assert (settlement.state, settlement.waiting_for) == ("CANCELLED", "not worth its fee")
    assert bank.chain.balance(bank.wallet(reference).address) == price_nano


def test_a_written_off_refund_ends_its_deal(bank: Bank) -> None:
    reference = bank.refundable_escrow(2_000_000)
    bank.deposit(reference, 2_000_000)
    bank.refund(reference)

    bank.settle(turns=1)

    assert OutboxMessage.objects.filter(event_type="ESCROW_SETTLED").count() == 1


# --- where to -------------------------------------------------------------------------------------


def test_without_a_refund_address_it_waits_and_is_told_once(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.deposit(reference)
    bank.refund(reference)

    bank.settle(turns=2)

    settlement = bank.settlement(reference, Kind.REFUND)
    assert (settlement.state, settlement.waiting_for) == ("QUEUED", "a refund address")
    assert bank.attempts(reference, Kind.REFUND) == []
    assert bank.holds(reference) == {"REFUND_PENDING": PRICE_NANO}
    stuck = OutboxMessage.objects.get(event_type="SETTLEMENT_STUCK")
    assert (stuck.payload["kind"], stuck.payload["reason"]) == ("REFUND", "no refund address")
    assert waiting_for(settlement) == Waiting.ADDRESS


def test_who_says_late_where_to_hears_that_it_has_arrived(bank: Bank) -> None:
    """Nobody was the payee of what was owed before somebody had said where to."""
    reference = bank.addressless_escrow()
    bank.refund(reference)
    bank.execute()
    bank.set_refund_address(reference)
    bank.execute()
    assert waiting_for(bank.settlement(reference, Kind.REFUND)) == Waiting.TURN

    with bank.pass_time(24 * 3600 + 60):
        bank.read()
        bank.settle()

    [received] = bank.advertiser_received()
    [told] = OutboxMessage.objects.filter(event_type="SETTLEMENT_CONFIRMED")
    assert (told.payload["payee_id"], told.payload["amount_nano"]) == (ADVERTISER_ID, received)
    own = own_money.get_transfer(bank.settlement(reference, Kind.REFUND).pk, user_id=ADVERTISER_ID)
    assert own.sent_nano == received


def test_nothing_goes_to_the_sender_of_the_deposit_by_itself(bank: Bank) -> None:
    """It may be an exchange."""
    reference = bank.open_escrow()
    sender = PersonsWallet("sender")
    bank.chain.faucet(sender.address, PRICE_NANO + TON)
    bank.send(sender, bank.wallet(reference).address, PRICE_NANO)
    for _ in range(3):
        bank.read()
    bank.apply_deposits()
    bank.refund(reference)
    received_before = bank.received_at(sender.raw_address)

    bank.settle(turns=2)

    assert bank.escrow(reference).state == "REFUNDED"
    assert bank.received_at(sender.raw_address) == received_before


def test_an_own_wallet_is_no_refund_address(bank: Bank) -> None:
    reference = bank.open_escrow()

    with pytest.raises(OwnAddress):
        bank.set_refund_address(reference, bank.treasury().address)

    assert bank.escrow(reference).refund_user_id is None


def test_nothing_goes_to_an_address_that_has_become_an_own_wallet(bank: Bank) -> None:
    """Our key is public: whoever likes can tell which wallet will be the next."""
    reference = bank.open_escrow()
    next_one = Wallet.objects.latest("subwallet").subwallet + 1
    key = bank.wallet(reference).public_key
    bank.set_refund_address(reference, subwallet_address(key, next_one))
    refill_stock(bank.client, at=timezone.now())
    bank.deposit(reference)
    bank.refund(reference)

    bank.settle(turns=2)

    assert bank.attempts(reference, Kind.REFUND) == []
    waiting_for = bank.settlement(reference, Kind.REFUND).waiting_for
    assert waiting_for == "an address that is not a deal's own"


def test_a_changed_refund_address_waits_for_its_day(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.set_refund_address(reference, PersonsWallet("before").raw_address)
    bank.set_refund_address(reference)
    bank.deposit(reference)
    bank.refund(reference)

    bank.settle(turns=2)
    assert "the address, which counts from" in bank.settlement(reference, Kind.REFUND).waiting_for
    assert bank.attempts(reference, Kind.REFUND) == []
    with bank.pass_time(24 * 3600 + 5):
        bank.settle()

    assert len(bank.advertiser_received()) == 1
    assert bank.received_at(PersonsWallet("before").raw_address) == []


def test_the_same_refund_address_again_waits_for_nothing(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.set_refund_address(reference)
    bank.deposit(reference)
    bank.refund(reference)

    bank.settle()

    assert len(bank.advertiser_received()) == 1


# --- a part of it ---------------------------------------------------------------------------------


def test_a_split_pays_both(bank: Bank) -> None:
    """Half and half: the commission is taken on the owner's part alone."""
    reference = bank.split_due()
    assert bank.holds(reference) == {
        "REFUND_PENDING": 50 * TON,
        "OWNER_PENDING": 45 * TON,
        "COMMISSION": 5 * TON,
    }

    bank.settle(turns=8)

    [withheld] = bank.withheld(reference, Kind.REFUND)
    assert bank.owner_received() == [45 * TON]
    assert bank.advertiser_received() == [50 * TON - withheld]
    assert bank.holds(reference) == {"COMMISSION": 5 * TON}
    assert bank.wallet(reference).expected_seqno == 2
    assert bank.off_the_chain() == {}


def test_a_split_is_settled_when_both_have_theirs(bank: Bank) -> None:
    reference = bank.split_due()
    bank.settle(turns=3)
    assert Settlement.objects.filter(state="CONFIRMED").count() == 1
    assert not OutboxMessage.objects.filter(event_type="ESCROW_SETTLED").exists()
    assert selectors.settled_references([reference]) == {}

    bank.settle(turns=5)

    settled = OutboxMessage.objects.get(event_type="ESCROW_SETTLED")
    assert settled.payload["outcome"] == "SPLIT"
    assert selectors.settled_references([reference]) == {reference: selectors.Outcome.SPLIT}


@pytest.mark.parametrize(
    ("gross_nano", "held"),
    [
        (0, {"REFUND_PENDING": PRICE_NANO}),
        (PRICE_NANO, {"OWNER_PENDING": OWNER_SHARE_NANO, "COMMISSION": 10 * TON}),
        (9, {"REFUND_PENDING": PRICE_NANO - 9, "OWNER_PENDING": 9}),
        (19, {"REFUND_PENDING": PRICE_NANO - 19, "OWNER_PENDING": 18, "COMMISSION": 1}),
    ],
)
def test_a_split_leaves_nothing_in_escrow(
    bank: Bank, gross_nano: int, held: dict[str, int]
) -> None:
    reference = bank.funded_escrow()

    bank.split(reference, gross_nano)

    assert bank.holds(reference) == held
    kinds = {"OWNER_PENDING": "PAYOUT", "REFUND_PENDING": "REFUND"}
    owed = Settlement.objects.values_list("kind", "amount_nano")
    assert dict(owed) == {kinds[name]: nano for name, nano in held.items() if name in kinds}


@pytest.mark.parametrize("gross_nano", [-1, PRICE_NANO + 1])
def test_a_part_that_is_none_is_refused(bank: Bank, gross_nano: int) -> None:
    reference = bank.funded_escrow()

    with pytest.raises(SplitNotPossible):
        bank.split(reference, gross_nano)

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}


def test_a_split_asked_again_changes_nothing(bank: Bank) -> None:
    reference = bank.split_due()

    bank.split(reference)

    assert Settlement.objects.count() == 2
    with pytest.raises(ledger.KeyReused):
        bank.split(reference, PRICE_NANO // 2 + 1)


# --- several from one wallet ----------------------------------------------------------------------


def test_everything_that_a_wallet_owes_leaves_it(bank: Bank) -> None:
    """Payout, refund and overpayment of one deal; the sweep comes last."""
    bank.set_payout_address()
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + 3 * TON)
    bank.split(reference)

    bank.settle(turns=12)
    bank.sweep()
    bank.settle(turns=5)

    [refund_fee] = bank.withheld(reference, Kind.REFUND)
    [excess_fee] = bank.withheld(reference, Kind.OVERPAYMENT_REFUND)
    assert bank.owner_received() == [45 * TON]
    assert sorted(bank.advertiser_received()) == [3 * TON - excess_fee, 50 * TON - refund_fee]
    assert bank.holds(reference) == {}
    assert bank.wallet(reference).expected_seqno == 4
    assert bank.off_the_chain() == {}


def test_a_refund_leaves_the_owners_part_in_the_wallet(bank: Bank) -> None:
    """The owner has no address yet; not even the fee of the refund is taken from theirs."""
    reference = bank.funded_escrow()
    bank.split(reference)

    bank.settle(turns=4)

    assert len(bank.advertiser_received()) == 1
    assert bank.chain.balance(bank.wallet(reference).address) >= 50 * TON


# --- a refund that comes back ---------------------------------------------------------------------


def test_a_bounced_refund_is_owed_again_in_full_and_held(bank: Bank) -> None:
    refuser = deploy_refuser(bank)
    reference = bank.open_escrow()
    bank.set_refund_address(reference, refuser)
    bank.deposit(reference)
    bank.refund(reference)

    bank.settle()

    settlement = bank.settlement(reference, Kind.REFUND)
    assert (settlement.state, settlement.waiting_for) == (
        "HELD",
        "the recipient's contract sent it back",
    )
    assert bank.attempts(reference, Kind.REFUND) == ["BOUNCED"]
    assert bank.holds(reference) == {"REFUND_PENDING": PRICE_NANO}
    wallet = bank.wallet(reference)
    assert ledger.balance(PerWallet.BOUNCED.of(wallet.subwallet)) == 0
    assert bank.off_the_chain() == {}
    assert not OutboxMessage.objects.filter(event_type="SETTLEMENT_CONFIRMED").exists()
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").count() == 1


def test_a_refund_never_bears_what_is_more_than_fees(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wallet that lacks more than a fee was robbed: its payee is not the one to pay for that."""
    refuser = deploy_refuser(bank)
    reference = bank.open_escrow()
    bank.set_refund_address(reference, refuser)
    bank.deposit(reference)
    bank.refund(reference)
    bank.settle()
    for module in (transfers, executor):
        monkeypatch.setattr(module, "MAX_TOP_UP_NANO", 1_000_000)
    Settlement.objects.update(
        state=Settlement.State.QUEUED, destination=bank.advertiser.raw_address
    )

    bank.settle(turns=2)

    settlement = bank.settlement(reference, Kind.REFUND)
    assert (settlement.state, settlement.waiting_for) == (
        "NEEDS_OPERATOR",
        "the wallet lacks more than a fee",
    )
    assert bank.advertiser_received() == []
    assert bank.holds(reference) == {"REFUND_PENDING": PRICE_NANO}


def test_a_bounced_refund_goes_out_again_less_what_the_ways_cost(bank: Bank) -> None:
    """What is in the wallet is what the chain left of it: the way there and back is gone."""
    refuser = deploy_refuser(bank)
    reference = bank.open_escrow()
    bank.set_refund_address(reference, refuser)
    bank.deposit(reference)
    bank.refund(reference)
    bank.settle()
    in_wallet = bank.chain.balance(bank.wallet(reference).address)
    Settlement.objects.update(
        state=Settlement.State.QUEUED, destination=bank.advertiser.raw_address
    )

    bank.settle()

    [_, withheld] = bank.withheld(reference, Kind.REFUND)
    assert bank.advertiser_received() == [PRICE_NANO - withheld]
    assert withheld > PRICE_NANO - in_wallet
    assert bank.holds(reference) == {}
    assert bank.off_the_chain() == {}


def test_one_dear_quote_writes_no_refund_off(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.1 TON are owed, and their way costs 0.004: an emulation that says 0.08 is asked again."""
    reference = bank.refundable_escrow()
    bank.close(reference)
    bank.deposit(reference, 100_000_000)
    with monkeypatch.context() as dear:
        dear.setattr(bank.api, "estimate_fee", lambda *_: 80_000_000)
        bank.execute()
    refund = bank.settlement(reference, Settlement.Kind.LATE_DEPOSIT_REFUND)
    assert refund.state == Settlement.State.QUEUED
    assert refund.waiting_for == "a fee below what is owed, not 96000000 nanoTON"

    bank.settle()

    assert len(bank.advertiser_received()) == 1
