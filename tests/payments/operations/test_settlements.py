"""Held, retried, redirected, given back, written off: who has the money then, by the chain."""

from __future__ import annotations

import base64
import datetime as dt
import functools
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.services import CommentTooLong
from advertmarket.audit.models import AuditEntry
from advertmarket.messaging.models import OutboxMessage
from advertmarket.ton_address import InvalidTonAddress, friendly_address
from ops.stuck import stuck_transfers
from payments import services
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PerDeal
from payments.models import Escrow, OperatorRequest, Settlement, TonTransaction, Wallet
from payments.operations.settlements import NotAsItStands, NotSeenOnChain
from payments.sending import settlements, unclaimed
from payments.sending.executor import Executor
from payments.sending.settlements import NoSuchSettlement
from payments.sending.waiting import Waiting, waiting_for
from payments.services import EscrowNotFunded
from payments.tasks import sweep_commission
from payments.thresholds import DUST_NANO
from payments.wallets import OwnAddress
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ACTOR, OWNER_ID, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_burner, deploy_refuser
from tests.payments.lines import before, line_of
from tests.payments.operations.desk import (
    GIVES_UP,
    Desk,
    about,
    nothing_changes,
    treasury,
)
from tests.payments.overlooking import confirmed_although_it_bounces
from tests.payments.threads import elsewhere

pytestmark = pytest.mark.thorough

S = Settlement.State
ASKED = (OperatorRequest, AuditEntry)
TON = 1_000_000_000


@pytest.fixture
def advertiser() -> PersonsWallet:
    return PersonsWallet(f"advertiser {uuid4()}")


def stored(settlement: Settlement) -> Settlement:
    return Settlement.objects.get(pk=settlement.pk)


def refuses(desk: Desk, name: str, settlement: Settlement, **more: Any) -> bool:
    """Do it, with every approval, and see that nothing comes of it."""
    with nothing_changes(but=ASKED), pytest.raises(NotAsItStands):
        desk.on(name, settlement, **more)
    return not OperatorRequest.objects.filter(action=name, state="DONE").exists()


def refund(bank: Bank, reference: UUID) -> None:
    with transaction.atomic():
        services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())


# --- hold and release -----------------------------------------------------------------------------


def test_a_held_payout_is_not_signed(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()

    desk.on("settlement.hold", bank.settlement(reference))
    bank.settle()

    settlement = bank.settlement(reference)
    assert settlement.state == S.HELD
    assert settlement.waiting_for == "an operator: the payee wrote to support"
    assert bank.owner_has() == 0
    assert bank.attempts(reference) == []


def test_a_released_payout_is_paid_once(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    desk.on("settlement.hold", bank.settlement(reference))
    held = bank.settlement(reference)

    desk.on("settlement.release", held, held_for=held.waiting_for)
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    with nothing_changes(but=ASKED), pytest.raises(NotAsItStands):
        desk.on("settlement.release", held, held_for=held.waiting_for)


def test_what_is_not_held_is_not_released(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()

    assert refuses(desk, "settlement.release", bank.settlement(reference), held_for="")


def test_what_is_held_for_another_reason_by_now_stays_held(desk: Desk, bank: Bank) -> None:
    bounced = desk.bounced(bank.funded_escrow())
    desk.on("settlement.hold", bounced)

    assert refuses(desk, "settlement.release", bounced, held_for=bounced.waiting_for)


def test_a_bounced_payout_goes_out_again_with_attempts_anew(desk: Desk, bank: Bank) -> None:
    settlement = desk.bounced(bank.funded_escrow())
    bank.set_payout_address()

    desk.on("settlement.release", settlement, held_for=settlement.waiting_for)
    with bank.pass_time(24 * 3600 + 60):
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(settlement.reference) == ["BOUNCED", "CONFIRMED"]
    assert stored(settlement).attempts_allowed == 6


def test_holds_whose_reasons_begin_alike_are_all_told(desk: Desk, bank: Bank) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())

    desk.on("settlement.hold", settlement, reason="r" * 300 + "1")
    desk.on("settlement.hold", settlement, reason="r" * 300 + "2")

    assert stored(settlement).state == S.HELD


# --- retry ----------------------------------------------------------------------------------------


def given_up(desk: Desk, bank: Bank) -> Settlement:
    """A payout whose wallet was frozen while the chain was asked; now it may sign again."""
    reference = bank.payout_due()
    subwallet = bank.wallet(reference).subwallet
    freeze = functools.partial(desk.do, "wallet.freeze", subwallet=subwallet)
    with before(line_of(Executor._sign, "now = timezone.now()"), lambda: elsewhere(freeze)):
        bank.execute()
    desk.do("wallet.unfreeze", subwallet=subwallet)
    assert bank.settlement(reference).state == S.NEEDS_OPERATOR
    return bank.settlement(reference)


def test_what_was_given_up_is_tried_again(desk: Desk, bank: Bank) -> None:
    settlement = given_up(desk, bank)

    desk.on("settlement.retry", settlement)
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_what_is_held_is_not_retried(desk: Desk, bank: Bank) -> None:
    settlement = desk.bounced(bank.funded_escrow())

    assert refuses(desk, "settlement.retry", settlement)


ON_ITS_WAY = [
    ("settlement.hold", {}),
    ("settlement.release", {"held_for": ""}),
    ("settlement.retry", {}),
    ("settlement.change_destination", {"address": "0:" + "ab" * 32}),
    ("settlement.cancel_into_refund", {}),
    ("settlement.write_off", {}),
    ("settlement.extend_unclaimed", {}),
]


@pytest.mark.parametrize(("name", "more"), ON_ITS_WAY, ids=[name for name, _ in ON_ITS_WAY])
@pytest.mark.parametrize("stage", ["submitted", "landed", "confirmed"])
def test_what_was_signed_is_left_alone(
    desk: Desk, bank: Bank, name: str, more: dict[str, Any], stage: str
) -> None:
    reference = bank.payout_due()
    bank.execute()
    if stage != "submitted":
        bank.read()
    if stage == "confirmed":
        bank.settle(turns=2)
    assert bank.attempts(reference) == [stage.upper()]

    assert refuses(desk, name, bank.settlement(reference), **more)
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


@pytest.mark.parametrize(("name", "more"), ON_ITS_WAY, ids=[name for name, _ in ON_ITS_WAY])
def test_another_amount_than_the_operator_saw_is_refused(
    desk: Desk, bank: Bank, name: str, more: dict[str, Any]
) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())
    settlement.amount_nano += 1

    assert refuses(desk, name, settlement, **more)


@pytest.mark.parametrize(
    ("name", "more"), [*ON_ITS_WAY, ("settlement.confirm", {})], ids=lambda one: str(one)[:40]
)
def test_what_is_not_there_is_refused(desk: Desk, name: str, more: dict[str, Any]) -> None:
    if name in GIVES_UP:
        more = {"waiting_for": ""}
    with nothing_changes(but=ASKED), pytest.raises(NoSuchSettlement):
        desk.do(name, settlement_id=str(uuid4()), nano=1, **more)


# --- confirm --------------------------------------------------------------------------------------


def test_what_the_recipient_has_is_confirmed(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.read()
    bank.chain.mine()

    desk.on("settlement.confirm", bank.settlement(reference))

    assert bank.settlement(reference).state == S.CONFIRMED
    assert bank.attempts(reference) == ["CONFIRMED"]
    assert bank.owner_has() == OWNER_SHARE_NANO
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_CONFIRMED").count() == 1
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


@pytest.mark.parametrize("read", [False, True], ids=["not landed", "not received"])
def test_what_the_chain_does_not_show_is_not_confirmed(desk: Desk, bank: Bank, read: bool) -> None:
    reference = bank.payout_due()
    bank.execute()
    if read:
        bank.read()

    with nothing_changes(but=ASKED), pytest.raises(NotSeenOnChain):
        desk.on("settlement.confirm", bank.settlement(reference))


def test_money_on_its_way_back_is_not_confirmed(desk: Desk, bank: Bank) -> None:

    bank.set_payout_address(address=deploy_refuser(bank))
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    bank.read()
    bank.chain.mine()

    with nothing_changes(but=ASKED), pytest.raises(NotSeenOnChain):
        desk.on("settlement.confirm", bank.settlement(reference))


def test_what_bounced_is_not_confirmed(desk: Desk, bank: Bank) -> None:
    settlement = desk.bounced(bank.funded_escrow())

    with nothing_changes(but=ASKED), pytest.raises(NotSeenOnChain):
        desk.on("settlement.confirm", settlement)


# --- another destination --------------------------------------------------------------------------


def test_a_bounced_payout_goes_to_the_other_address(desk: Desk, bank: Bank) -> None:
    settlement = desk.bounced(bank.funded_escrow())
    elsewhere = PersonsWallet(f"elsewhere {uuid4()}")
    friendly = friendly_address(elsewhere.raw_address, network="testnet")

    desk.on("settlement.change_destination", settlement, address=friendly, comment="memo 7")
    assert stored(settlement).state == S.HELD
    desk.on("settlement.release", settlement, held_for=settlement.waiting_for)
    bank.settle()

    assert bank.chain.balance(elsewhere.raw_address) == OWNER_SHARE_NANO
    assert bank.owner_has() == 0
    assert stored(settlement).state == S.CONFIRMED


def test_the_audit_log_masks_the_address(desk: Desk, bank: Bank) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())
    address = "0:" + "ab" * 32

    desk.on("settlement.change_destination", settlement, address=address)

    entries = AuditEntry.objects.filter(object_type="operator_request")
    assert entries.count() == 2
    assert all("abab" not in str(entry.after) for entry in entries)
    assert OperatorRequest.objects.get().payload["address"] == address


@pytest.mark.parametrize(
    ("address", "comment", "error"),
    [
        ("nowhere", "", InvalidTonAddress),
        (friendly_address("0:" + "ab" * 32, network="mainnet"), "", InvalidTonAddress),
        ("0:" + "ab" * 32, "п" * 61, CommentTooLong),
    ],
)
def test_an_address_that_cannot_be_used_is_not_even_asked_for(
    desk: Desk, bank: Bank, address: str, comment: str, error: type[Exception]
) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())

    with nothing_changes(), pytest.raises(error):
        desk.on("settlement.change_destination", settlement, address=address, comment=comment)


def test_an_own_wallet_is_no_destination(desk: Desk, bank: Bank) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())

    for own in Wallet.objects.all():
        with nothing_changes(but=ASKED), pytest.raises(OwnAddress):
            desk.on("settlement.change_destination", settlement, address=own.address)


def test_the_platforms_own_money_goes_nowhere_else(desk: Desk, bank: Bank, settings: Any) -> None:
    settings.TREASURY_COLD_ADDRESS = "0:" + "cd" * 32
    has = desk.treasury_with_commission()
    desk.do("treasury.withdraw", nano=has // 2)
    withdrawal = Settlement.objects.get(kind="TREASURY_WITHDRAWAL")

    assert refuses(desk, "settlement.change_destination", withdrawal, address="0:" + "ab" * 32)


# --- into a refund --------------------------------------------------------------------------------


def test_an_unclaimed_payout_goes_back_to_the_advertiser_commission_and_all(
    desk: Desk, bank: Bank, advertiser: PersonsWallet
) -> None:
    reference = desk.funded_by(advertiser)
    payout = desk.unclaimed(reference)

    desk.on("settlement.cancel_into_refund", payout)

    assert ledger.balance(PerDeal.REFUND_PENDING.of(reference)) == PRICE_NANO
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == 0
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == 0
    bank.settle()
    attempt = TonTransaction.objects.get(direction="OUT")
    received = bank.chain.balance(advertiser.raw_address)
    assert received == attempt.sent_nano == PRICE_NANO - attempt.withheld_nano
    assert 0 < attempt.withheld_nano < 20_000_000
    assert ledger.balance(PerDeal.REFUND_PENDING.of(reference)) == 0
    assert stored(payout).state == S.CANCELLED
    assert bank.escrow(reference).state == Escrow.State.REFUNDED
    assert bank.owner_has() == 0
    [settled] = OutboxMessage.objects.filter(event_type="ESCROW_SETTLED")
    assert settled.payload["outcome"] == "REFUNDED"


def test_what_operators_gave_back_is_not_released_once_more(
    desk: Desk, bank: Bank, advertiser: PersonsWallet
) -> None:
    reference = desk.funded_by(advertiser)
    desk.on("settlement.cancel_into_refund", desk.unclaimed(reference))

    with nothing_changes(), pytest.raises(EscrowNotFunded):
        bank.release(reference)


def test_a_bounced_payout_goes_back_less_what_its_way_cost(
    desk: Desk, bank: Bank, advertiser: PersonsWallet
) -> None:
    reference = desk.funded_by(advertiser)
    payout = desk.bounced(reference)
    left = bank.chain.balance(bank.wallet(reference).address)
    assert left < PRICE_NANO

    desk.on("settlement.cancel_into_refund", payout)
    bank.settle()

    attempt = TonTransaction.objects.filter(direction="OUT").latest("pk")
    assert bank.chain.balance(advertiser.raw_address) == attempt.sent_nano
    assert attempt.sent_nano < left
    assert attempt.sent_nano + attempt.withheld_nano == PRICE_NANO


def test_the_owners_part_of_a_split_goes_back_as_well(
    desk: Desk, bank: Bank, advertiser: PersonsWallet
) -> None:
    reference = desk.funded_by(advertiser)
    with transaction.atomic():
        services.split_escrow(
            reference=reference,
            owner_id=OWNER_ID,
            owner_gross_nano=40 * TON,
            commission_rate_bp=1_000,
            actor=ACTOR,
            at=timezone.now(),
        )
    payout = Settlement.objects.get(kind="PAYOUT")
    assert refuses(desk, "settlement.cancel_into_refund", payout)  # while the refund is under way
    bank.settle()
    OperatorRequest.objects.all().delete()

    desk.on("settlement.cancel_into_refund", payout)
    bank.settle()

    sent = TonTransaction.objects.filter(direction="OUT").order_by("pk")
    assert [one.sent_nano + one.withheld_nano for one in sent] == [60 * TON, 40 * TON]
    arrived = bank.chain.transactions(advertiser.raw_address)
    assert [int(one["in_msg"]["value"]) for one in arrived] == [one.sent_nano for one in sent]
    assert bank.escrow(reference).state == Escrow.State.REFUNDED


def test_a_refund_is_not_cancelled_into_a_refund(desk: Desk) -> None:
    assert refuses(desk, "settlement.cancel_into_refund", desk.stuck_refund())


def test_the_platforms_money_is_not_cancelled_into_a_refund(
    desk: Desk, bank: Bank, settings: Any
) -> None:
    settings.TREASURY_COLD_ADDRESS = "0:" + "cd" * 32
    has = desk.treasury_with_commission()
    desk.do("treasury.withdraw", nano=has // 2)

    assert refuses(
        desk,
        "settlement.cancel_into_refund",
        Settlement.objects.get(kind="TREASURY_WITHDRAWAL"),
    )


def test_what_the_chain_has_and_the_books_do_not_is_not_given_back(desk: Desk, bank: Bank) -> None:
    """As after a restore: the payout left, and the database knows nothing of it yet."""
    reference = bank.payout_due()
    sign_behind_our_back(bank, reference)
    assert bank.owner_has() == OWNER_SHARE_NANO

    assert refuses(desk, "settlement.cancel_into_refund", bank.settlement(reference))


def sign_behind_our_back(bank: Bank, reference: UUID) -> None:
    """A payout lands of which the database knows nothing."""
    signed = bank.signer.sign_transfer(
        subwallet=bank.wallet(reference).subwallet,
        seqno=0,
        valid_until=bank.chain.now() + 60,
        destination=bank.owner.raw_address,
        amount_nano=OWNER_SHARE_NANO,
        comment="",
        bounce=False,
        deploy=True,
    )
    assert bank.client.send(base64.b64encode(signed.boc).decode()) == "ok"
    bank.chain.mine(2)


@pytest.mark.leaves_findings
def test_what_may_be_the_payout_itself_is_adopted_and_not_given_back(
    desk: Desk, bank: Bank
) -> None:
    reference = bank.payout_due()
    sign_behind_our_back(bank, reference)
    bank.read()
    assert TonTransaction.objects.get(state="FOREIGN").sent_nano == OWNER_SHARE_NANO

    assert refuses(desk, "settlement.cancel_into_refund", bank.settlement(reference))


def test_a_payout_whose_owner_says_where_to_meanwhile_is_not_given_back(
    desk: Desk, bank: Bank
) -> None:
    payout = desk.unclaimed(bank.funded_escrow())
    name = "settlement.cancel_into_refund"
    request = desk.ask(name, **about(payout, name))
    bank.set_payout_address()

    with nothing_changes(), pytest.raises(NotAsItStands):
        desk.approve(request)

    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


# --- beside a sweep -------------------------------------------------------------------------------


@pytest.fixture
def swept_too_early(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """A deal whose payout is on its way back, although a node said that it had arrived.

    Its commission is owed to the treasury, and not signed yet.
    """
    reference = confirmed_although_it_bounces(bank, monkeypatch)
    bank.sweep()
    return reference


def test_a_commission_that_goes_back_is_not_swept_as_well(
    desk: Desk, bank: Bank, swept_too_early: UUID
) -> None:
    """What is left is worth a sweep, which the reader could not have booked: it stood still."""
    reference = swept_too_early
    bank.read()
    bank.read()

    desk.on("settlement.cancel_into_refund", bank.settlement(reference))
    for _ in range(3):
        bank.deposit(reference, DUST_NANO)
    bank.settle()

    assert bank.settlement(reference, Settlement.Kind.COMMISSION_SWEEP).state == S.CANCELLED
    assert bank.settlement(reference, Settlement.Kind.REFUND).state == S.CONFIRMED
    assert bank.holds(reference) == {}
    assert bank.chain.balance(treasury().address) == 0


def test_a_commission_that_may_be_on_its_way_is_not_given_back(
    desk: Desk, bank: Bank, swept_too_early: UUID
) -> None:
    reference = swept_too_early
    bank.chain.fault("message", "swallow")
    bank.execute()
    bank.read()
    bank.read()
    assert bank.attempts(reference, Settlement.Kind.COMMISSION_SWEEP) == ["SUBMITTED"]

    assert refuses(desk, "settlement.cancel_into_refund", bank.settlement(reference))

    with bank.pass_time(20):
        bank.settle()
    assert bank.settlement(reference, Settlement.Kind.COMMISSION_SWEEP).state == S.CONFIRMED
    assert bank.holds(reference) == {"OWNER_PENDING": OWNER_SHARE_NANO}


# --- for another reason ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", GIVES_UP)
def test_what_waits_for_something_else_by_now_is_not_given_up(
    desk: Desk, bank: Bank, name: str
) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())
    request = desk.ask(name, **about(settlement, name))
    desk.on("settlement.hold", settlement)

    with nothing_changes(), pytest.raises(NotAsItStands):
        desk.approve(request)

    assert stored(settlement).state == S.HELD


# --- unclaimed ------------------------------------------------------------------------------------


def test_an_extended_payout_is_reminded_of_anew(desk: Desk, bank: Bank) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())
    with bank.pass_time(30 * 24 * 3600):
        with transaction.atomic():
            unclaimed.remind(at=timezone.now())
        assert stored(settlement).reminded_day == 30

        desk.on("settlement.extend_unclaimed", settlement)

        extended = stored(settlement)
        assert extended.reminded_day == 0
        assert extended.unclaimed_since_at is not None
        assert timezone.now() - extended.unclaimed_since_at < dt.timedelta(minutes=1)
        bank.set_payout_address()
        bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_who_need_not_say_where_to_any_more_is_not_reminded(desk: Desk, bank: Bank) -> None:
    """Operators know where to; if it does not go out, that is for them to see to."""
    payout = desk.unclaimed(bank.funded_escrow())
    desk.on("settlement.change_destination", payout, address=bank.owner.raw_address)

    with bank.pass_time(8 * 24 * 3600):
        with transaction.atomic():
            unclaimed.remind(at=timezone.now())

        told = OutboxMessage.objects.filter(event_type="PAYOUT_UNCLAIMED")
        assert [one.payload["day"] for one in told] == [0]
        assert waiting_for(stored(payout)) == Waiting.TURN
        assert [one.pk for one in stuck_transfers(timezone.now())] == [payout.pk]


def test_what_waits_for_no_address_is_not_extended(desk: Desk, bank: Bank) -> None:
    assert refuses(desk, "settlement.extend_unclaimed", bank.settlement(bank.payout_due()))


# --- written off ----------------------------------------------------------------------------------


def test_a_refund_that_is_written_off_is_the_platforms(desk: Desk, bank: Bank) -> None:
    settlement = desk.stuck_refund()

    desk.on("settlement.write_off", settlement)
    bank.settle()

    assert stored(settlement).state == S.CANCELLED
    assert stored(settlement).waiting_for == "an operator wrote it off"
    assert ledger.balance(PerDeal.REFUND_PENDING.of(settlement.reference)) == 0
    assert ledger.balance(DUST_WRITEOFF) == PRICE_NANO
    assert bank.attempts(settlement.reference) == []


def test_a_payout_is_not_written_off(desk: Desk, bank: Bank) -> None:
    assert refuses(desk, "settlement.write_off", desk.unclaimed(bank.funded_escrow()))


def test_a_sweep_that_is_written_off_moves_nothing(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    bank.settle()
    sweep_commission()
    sweep = Settlement.objects.get(kind="COMMISSION_SWEEP")
    before = ledger.balance(PerDeal.COMMISSION.of(reference))

    desk.on("settlement.write_off", sweep)
    bank.settle()

    assert stored(sweep).state == S.CANCELLED
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == before == 10 * TON
    assert bank.chain.balance(treasury().address) == 0


# --- more than a fee ------------------------------------------------------------------------------


def test_a_refund_that_a_contract_sent_back_dearly_is_given_back_after_a_top_up(
    desk: Desk, bank: Bank
) -> None:
    """Its way there and back cost 0.4 TON; then the advertiser names a plain wallet."""
    bank.fund_treasury()
    reference = bank.open_escrow()
    bank.set_refund_address(reference, address=deploy_burner(bank))
    bank.pay(reference)
    bank.apply_deposits()
    bank.refund(reference)
    bank.settle()
    owed = bank.settlement(reference, Settlement.Kind.REFUND)
    desk.on("settlement.change_destination", owed, address=bank.advertiser.raw_address)
    desk.on("settlement.release", owed, held_for=settlements.SENT_BACK)
    bank.settle(turns=2)
    assert stored(owed).waiting_for == "the wallet lacks more than a fee"

    desk.on("settlement.top_up", owed, gas_nano=TON // 2)
    bank.settle(turns=8)

    assert stored(owed).state == S.CONFIRMED
    [received] = bank.advertiser_received()
    assert PRICE_NANO - 20_000_000 < received < PRICE_NANO


def test_what_lacks_nothing_is_not_topped_up(desk: Desk, bank: Bank) -> None:
    payout = bank.settlement(bank.payout_due())

    assert refuses(desk, "settlement.top_up", payout, gas_nano=TON // 2)
    assert not Settlement.objects.filter(kind=Settlement.Kind.GAS_TOPUP).exists()
