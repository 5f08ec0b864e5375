"""What operators post: corrections, and the platform's own money."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.services import mask_address
from advertmarket.audit.models import AuditEntry
from advertmarket.ton_address import friendly_address
from payments import services
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PLATFORM_TREASURY, PerDeal, PerWallet
from payments.books.ledger import InsufficientFunds, KeyReused
from payments.models import Journal, OperatorRequest, Settlement
from payments.operations.books import (
    NoColdAddress,
    NotReversible,
    NotTheColdAddress,
    TooMuchForTheTreasury,
    WithdrawalUnderWay,
)
from payments.tasks import return_stale_partials, sweep_commission
from payments.wallets import OwnAddress
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ACTOR, PRICE_NANO, Bank
from tests.payments.contracts import transfer_with_opcode
from tests.payments.operations.desk import Desk, nothing_changes, treasury

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
ASKED = (OperatorRequest, AuditEntry)
S = Settlement.State


@pytest.fixture
def cold(settings: Any) -> PersonsWallet:
    """The cold address, as the installation names it."""
    wallet = PersonsWallet(f"cold {uuid4()}")
    settings.TREASURY_COLD_ADDRESS = wallet.raw_address
    return wallet


def reverse(desk: Desk, journal: Journal) -> None:
    desk.do("journal.reverse", tx_ref=str(journal.pk))


def irreversible(desk: Desk, journal: Journal) -> None:
    with nothing_changes(but=ASKED), pytest.raises(NotReversible):
        reverse(desk, journal)


# --- reversals ------------------------------------------------------------------------------------


def test_what_was_written_off_is_owed_again_and_held(desk: Desk, bank: Bank) -> None:
    settlement = desk.stuck_refund()
    desk.on("settlement.write_off", settlement)

    reverse(desk, Journal.objects.get(kind="DUST_WRITEOFF"))

    assert ledger.balance(DUST_WRITEOFF) == 0
    assert ledger.balance(PerDeal.REFUND_PENDING.of(settlement.reference)) == PRICE_NANO
    again = bank.settlement(settlement.reference, Settlement.Kind.REFUND)
    assert (again.state, again.waiting_for) == (S.HELD, "was written off by mistake")


def test_a_journal_is_reversed_once(desk: Desk, bank: Bank) -> None:
    settlement = desk.stuck_refund()
    desk.on("settlement.write_off", settlement)
    first = Journal.objects.get(kind="DUST_WRITEOFF")
    reverse(desk, first)
    irreversible(desk, first)
    irreversible(desk, Journal.objects.get(kind="REVERSAL"))

    desk.on("settlement.write_off", settlement)

    irreversible(desk, first)
    assert ledger.balance(DUST_WRITEOFF) == PRICE_NANO
    reverse(desk, Journal.objects.filter(kind="DUST_WRITEOFF").latest("posted_at"))
    assert ledger.balance(PerDeal.REFUND_PENDING.of(settlement.reference)) == PRICE_NANO


def test_what_was_written_off_and_swept_is_not_owed_again(desk: Desk, bank: Bank) -> None:
    """The deal's commission, and with it all that its wallet held, is in the treasury."""
    bank.set_payout_address()
    reference = bank.addressless_escrow()
    with transaction.atomic():
        services.split_escrow(
            reference=reference,
            owner_id=bank.owner_id,
            owner_gross_nano=40 * TON,
            commission_rate_bp=1_000,
            actor=ACTOR,
            at=timezone.now(),
        )
    bank.settle()
    desk.on("settlement.write_off", Settlement.objects.get(kind="REFUND"))
    sweep_commission()
    assert Settlement.objects.filter(kind="COMMISSION_SWEEP").count() == 1

    irreversible(desk, Journal.objects.get(kind="DUST_WRITEOFF"))
    bank.settle()
    irreversible(desk, Journal.objects.get(kind="DUST_WRITEOFF"))


@pytest.mark.parametrize(
    "kind", ["RECEIVED", "ALLOCATED", "ESCROW_RELEASE", "OWNER_WITHDRAWAL", "NETWORK_FEE"]
)
def test_what_the_chain_did_or_an_escrow_decided_is_not_reversed(
    desk: Desk, bank: Bank, kind: str
) -> None:
    bank.payout_due()
    bank.settle()

    irreversible(desk, Journal.objects.filter(kind=kind).latest("posted_at"))


def test_dust_is_not_reversed(desk: Desk, bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.pay(reference, 5_000_000)
    bank.chain.mine(3)
    bank.read()
    bank.apply_deposits()

    irreversible(desk, Journal.objects.get(kind="DUST_WRITEOFF"))


def test_a_journal_that_is_not_there_is_not_reversed(desk: Desk) -> None:
    irreversible(desk, Journal(pk=uuid4()))


def test_a_reversed_write_off_waits_for_another_refund_of_the_deal(desk: Desk, bank: Bank) -> None:
    """The partial deposit that was written off is back only when the next one is back."""
    reference = bank.open_escrow()
    for _ in range(2):
        bank.pay(reference, 5 * TON)
        bank.apply_deposits()
        with bank.pass_time(25 * 3600):
            return_stale_partials()
        open_one = Settlement.objects.open().get()
        if Settlement.objects.count() == 1:
            desk.on("settlement.write_off", open_one)

    irreversible(desk, Journal.objects.get(kind="DUST_WRITEOFF"))


# --- nobody's money -------------------------------------------------------------------------------


def unsolicited(bank: Bank, nano: int) -> None:
    bank.chain.faucet(treasury().address, nano)
    bank.read()


def test_what_came_unasked_to_the_treasury_becomes_the_platforms(desk: Desk, bank: Bank) -> None:
    unsolicited(bank, 3 * TON)

    desk.do("treasury.claim", subwallet=0, nano=2 * TON, key=str(uuid4()))

    assert ledger.balance(PerWallet.UNSOLICITED.of(0)) == 1 * TON
    assert ledger.balance(PLATFORM_TREASURY) == 2 * TON


def test_more_than_came_is_not_claimed(desk: Desk, bank: Bank) -> None:
    unsolicited(bank, TON)

    with nothing_changes(but=ASKED), pytest.raises(InsufficientFunds):
        desk.do("treasury.claim", subwallet=0, nano=TON + 1, key=str(uuid4()))


def test_a_claim_of_one_key_is_posted_once(desk: Desk, bank: Bank) -> None:
    unsolicited(bank, 3 * TON)
    key = str(uuid4())

    for _ in range(2):
        desk.do("treasury.claim", subwallet=0, nano=TON, key=key)
    with nothing_changes(but=ASKED), pytest.raises(KeyReused):
        desk.do("treasury.claim", subwallet=0, nano=2 * TON, key=key)

    assert ledger.balance(PLATFORM_TREASURY) == TON


def test_a_claim_is_reversed(desk: Desk, bank: Bank) -> None:
    unsolicited(bank, TON)
    desk.do("treasury.claim", subwallet=0, nano=TON, key=str(uuid4()))

    reverse(desk, Journal.objects.get(kind="DUST_WRITEOFF"))

    assert ledger.balance(PLATFORM_TREASURY) == 0
    assert ledger.balance(PerWallet.UNSOLICITED.of(0)) == TON


def test_a_claim_whose_money_was_swept_is_not_reversed(desk: Desk, bank: Bank) -> None:
    """As with a write-off: the wallet would owe what it does not have."""
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    bank.settle()
    transfer_with_opcode(bank, wallet.address, 3 * TON, 0x7362D09C)
    bank.read()
    desk.do("treasury.claim", subwallet=wallet.subwallet, nano=3 * TON, key=str(uuid4()))
    claimed = Journal.objects.get(key__startswith="claim:")
    sweep_commission()

    irreversible(desk, claimed)
    bank.settle()
    irreversible(desk, claimed)
    bank.deposit(reference, 2 * TON)
    bank.settle()

    refund = bank.settlement(reference, Settlement.Kind.LATE_DEPOSIT_REFUND)
    assert (refund.state, refund.waiting_for) == (S.CONFIRMED, "")


# --- the treasury ---------------------------------------------------------------------------------


def test_the_treasury_bears_the_fees(desk: Desk, bank: Bank) -> None:
    has = desk.treasury_with_commission()
    excess = has - treasury().balance_nano
    assert 0 < excess < TON // 10

    desk.do("treasury.bear_fees", nano=excess, key=str(uuid4()))

    assert ledger.balance(PLATFORM_TREASURY) == treasury().balance_nano
    reverse(desk, Journal.objects.get(kind="FEE_ADJUSTMENT"))
    assert ledger.balance(PLATFORM_TREASURY) == has


def test_the_treasury_bears_no_more_than_it_has(desk: Desk, bank: Bank) -> None:
    has = desk.treasury_with_commission()

    with nothing_changes(but=ASKED), pytest.raises(InsufficientFunds):
        desk.do("treasury.bear_fees", nano=has + 1, key=str(uuid4()))


def test_a_part_of_the_treasury_goes_to_the_cold_address(
    desk: Desk, bank: Bank, cold: PersonsWallet
) -> None:
    has = desk.treasury_with_commission()
    most = treasury().balance_nano - TON

    desk.do("treasury.withdraw", nano=most)
    bank.settle()

    assert bank.chain.balance(cold.raw_address) == most
    assert ledger.balance(PLATFORM_TREASURY) == has - most
    assert TON - 10_000_000 < treasury().balance_nano < TON
    assert Settlement.objects.get(kind="TREASURY_WITHDRAWAL").state == S.CONFIRMED


def test_a_request_names_the_cold_address_and_the_audit_log_masks_it(
    desk: Desk, bank: Bank, cold: PersonsWallet
) -> None:
    request = desk.ask("treasury.withdraw", nano=1)

    stored = OperatorRequest.objects.get(pk=request.pk)
    assert stored.payload == {"nano": 1, "address": cold.raw_address}
    entry = AuditEntry.objects.get(action="treasury.withdraw.asked")
    assert entry.after is not None
    assert entry.after["payload"] == {"nano": 1, "address": mask_address(cold.raw_address)}


def test_no_other_address_can_be_asked_for(desk: Desk, bank: Bank, cold: PersonsWallet) -> None:
    desk.treasury_with_commission()

    with nothing_changes(), pytest.raises(NotTheColdAddress):
        desk.ask("treasury.withdraw", nano=TON, address=PersonsWallet("another").raw_address)


def test_the_cold_address_in_another_spelling_is_the_same(
    desk: Desk, bank: Bank, cold: PersonsWallet, settings: Any
) -> None:
    settings.TREASURY_COLD_ADDRESS = friendly_address(
        cold.raw_address, network=settings.TON_NETWORK
    )
    has = desk.treasury_with_commission()

    desk.do("treasury.withdraw", nano=TON, address=cold.raw_address)
    bank.settle()

    assert bank.chain.balance(cold.raw_address) == TON
    assert ledger.balance(PLATFORM_TREASURY) == has - TON


@pytest.mark.parametrize("given", [False, True])
def test_where_the_settings_changed_after_the_asking_nothing_is_sent(
    desk: Desk, bank: Bank, cold: PersonsWallet, settings: Any, given: bool
) -> None:
    """The second pair of eyes saw another address than the one that would get it."""
    desk.treasury_with_commission()
    wanted: dict[str, Any] = {"nano": TON, **({"address": cold.raw_address} if given else {})}
    request = desk.ask("treasury.withdraw", **wanted)
    settings.TREASURY_COLD_ADDRESS = PersonsWallet("another").raw_address

    with nothing_changes(), pytest.raises(NotTheColdAddress):
        desk.approve(request)

    settings.TREASURY_COLD_ADDRESS = cold.raw_address
    desk.approve(request)
    bank.settle()
    assert bank.chain.balance(cold.raw_address) == TON


def test_a_request_for_an_address_that_is_not_named_any_more_can_be_rejected(
    desk: Desk, cold: PersonsWallet, settings: Any
) -> None:
    request = desk.ask("treasury.withdraw", nano=TON)
    settings.TREASURY_COLD_ADDRESS = ""

    assert desk.reject(request).state == OperatorRequest.State.REJECTED


def test_more_than_the_treasury_can_give_is_refused(
    desk: Desk, bank: Bank, cold: PersonsWallet
) -> None:
    desk.treasury_with_commission()
    most = treasury().balance_nano - TON

    with nothing_changes(but=ASKED), pytest.raises(TooMuchForTheTreasury) as refusal:
        desk.do("treasury.withdraw", nano=most + 1)
    assert refusal.value.facts == {"most_nano": most}


def test_what_is_not_the_platforms_is_not_withdrawn(
    desk: Desk, bank: Bank, cold: PersonsWallet
) -> None:
    unsolicited(bank, 5 * TON)

    with nothing_changes(but=ASKED), pytest.raises(TooMuchForTheTreasury):
        desk.do("treasury.withdraw", nano=1)


def test_without_a_cold_address_nothing_is_withdrawn(desk: Desk, bank: Bank) -> None:
    desk.treasury_with_commission()

    with nothing_changes(), pytest.raises(NoColdAddress):
        desk.do("treasury.withdraw", nano=1)


def test_an_own_wallet_is_no_cold_address(desk: Desk, bank: Bank, settings: Any) -> None:
    desk.treasury_with_commission()
    settings.TREASURY_COLD_ADDRESS = treasury().address

    with nothing_changes(), pytest.raises(OwnAddress):
        desk.do("treasury.withdraw", nano=1)


@pytest.mark.parametrize("landed", [False, True])
def test_while_a_withdrawal_is_under_way_its_account_is_left_alone(
    desk: Desk, bank: Bank, cold: PersonsWallet, landed: bool
) -> None:
    """The reader takes it from there once it has landed, and must find it."""
    unsolicited(bank, TON)
    desk.do("treasury.claim", subwallet=0, nano=TON, key=str(uuid4()))
    claim = Journal.objects.get(kind="DUST_WRITEOFF")
    has = desk.treasury_with_commission()
    nano = treasury().balance_nano - TON
    desk.do("treasury.withdraw", nano=nano)
    bank.execute()
    if landed:
        bank.chain.mine()

    for name, payload in (
        ("treasury.withdraw", {"nano": 1}),
        ("treasury.bear_fees", {"nano": has, "key": str(uuid4())}),
        ("journal.reverse", {"tx_ref": str(claim.pk)}),
    ):
        with nothing_changes(but=ASKED), pytest.raises(WithdrawalUnderWay):
            desk.do(name, **payload)
    bank.settle()
    assert bank.chain.balance(cold.raw_address) == nano
    assert ledger.balance(PLATFORM_TREASURY) == has - nano
