"""What other apps ask of payments, beside the deposits and payouts that have their own tests."""

from __future__ import annotations

import base64
import datetime as dt
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts import services as accounts
from accounts import vault
from accounts.services import AddressNotProved, mask_address
from advertmarket.audit.models import AuditEntry
from advertmarket.db import NoDatabaseTransaction
from advertmarket.messaging.models import OutboxMessage
from advertmarket.ton_address import InvalidTonAddress, friendly_address
from payments import selectors, services
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.books.ledger import KeyReused
from payments.models import CommissionTier, Escrow, Settlement
from payments.selectors import Outcome
from payments.sending import transfers
from payments.services import EscrowNotEmpty, EscrowNotFunded
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ACTOR, OWNER_ID, OWNER_SHARE_NANO, PRICE_NANO, Bank

TON = 1_000_000_000
ADVERTISER_ID = 77


# --- the release ----------------------------------------------------------------------------------


def test_a_release_splits_all_that_escrow_holds(bank: Bank) -> None:
    reference = bank.funded_escrow()

    bank.release(reference)

    assert ledger.balance(PerDeal.ESCROW.of(reference)) == 0
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == OWNER_SHARE_NANO
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == PRICE_NANO - OWNER_SHARE_NANO
    settlement = bank.settlement(reference)
    assert (settlement.amount_nano, settlement.payee_id) == (OWNER_SHARE_NANO, OWNER_ID)
    assert settlement.wallet == bank.wallet(reference)
    assert bank.escrow(reference).state == Escrow.State.RELEASED
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_DUE").count() == 1


def test_a_shortfall_is_the_commissions_loss(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference, PRICE_NANO - 1_000_000)
    bank.apply_deposits()

    bank.release(reference)

    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == OWNER_SHARE_NANO
    commission = PRICE_NANO - 1_000_000 - OWNER_SHARE_NANO
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == commission


def test_the_owner_never_gets_more_than_there_is(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference, PRICE_NANO - 1)
    bank.apply_deposits()

    bank.release(reference, owner_share_nano=PRICE_NANO)

    assert bank.settlement(reference).amount_nano == PRICE_NANO - 1
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == 0


def test_a_release_asked_again_changes_nothing(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    ended_at = bank.escrow(reference).ended_at

    bank.release(reference)

    assert Settlement.objects.count() == 1
    assert bank.escrow(reference).ended_at == ended_at


def test_a_release_asked_again_with_another_share_is_refused(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)

    with pytest.raises(KeyReused):
        bank.release(reference, owner_share_nano=OWNER_SHARE_NANO - 1)

    assert bank.settlement(reference).amount_nano == OWNER_SHARE_NANO


def test_a_release_after_the_payout_changes_nothing(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.settle()

    bank.release(reference)
    bank.settle(turns=2)

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert Settlement.objects.count() == 1


def test_an_unpaid_deal_cannot_be_released(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference, PRICE_NANO // 2)
    bank.apply_deposits()

    with pytest.raises(EscrowNotFunded):
        bank.release(reference)

    assert not Settlement.objects.exists()


def test_a_closed_deal_cannot_be_released(bank: Bank) -> None:
    reference = bank.open_escrow()
    close(reference)

    with pytest.raises(EscrowNotFunded):
        bank.release(reference)


def close(reference: UUID) -> None:
    with transaction.atomic():
        services.close_escrow(reference=reference, actor=ACTOR, at=timezone.now())


def test_a_funded_deal_cannot_be_closed(bank: Bank) -> None:
    reference = bank.funded_escrow()

    with pytest.raises(EscrowNotEmpty):
        close(reference)

    assert bank.escrow(reference).state == Escrow.State.FUNDED


def test_closing_again_changes_nothing(bank: Bank) -> None:
    reference = bank.open_escrow()
    close(reference)
    ended_at = bank.escrow(reference).ended_at

    close(reference)

    assert bank.escrow(reference).ended_at == ended_at


def test_services_want_the_callers_database_transaction(bank: Bank) -> None:
    reference = bank.open_escrow()

    with pytest.raises(NoDatabaseTransaction):
        services.close_escrow(reference=reference, actor=ACTOR, at=timezone.now())


# --- where a refund would go ----------------------------------------------------------------------


def give_refund_address(
    reference: UUID, address: str, comment: str = "", *, typed_by_hand: bool = True
) -> None:
    now = timezone.now()
    with transaction.atomic():
        accounts.get_or_create_user(
            user_id=ADVERTISER_ID, first_name="Anna", username="", language_code="en", at=now
        )
        services.set_refund_destination(
            reference=reference,
            user_id=ADVERTISER_ID,
            address=address,
            comment=comment,
            typed_by_hand=typed_by_hand,
            actor=ACTOR,
            at=now,
        )


def test_the_refund_address_is_kept_in_the_vault(bank: Bank) -> None:
    reference = bank.open_escrow()
    assert not selectors.refund_destination_given(reference)
    wallet = PersonsWallet("advertiser")
    shown = friendly_address(wallet.raw_address, network="testnet")

    give_refund_address(reference, shown, "memo")

    assert selectors.refund_destination_given(reference)
    field = transfers.REFUND_FIELD.format(reference=reference)
    assert vault.read(user_id=ADVERTISER_ID, field=field) == {
        "address": wallet.raw_address,
        "comment": "memo",
        "proved_at": None,
    }


def test_a_refund_address_neither_proved_nor_typed_by_hand_is_refused(bank: Bank) -> None:
    reference = bank.open_escrow()

    with pytest.raises(AddressNotProved):
        give_refund_address(reference, PersonsWallet("advertiser").raw_address, typed_by_hand=False)

    assert not selectors.refund_destination_given(reference)


def test_an_address_of_another_network_is_refused(bank: Bank) -> None:
    reference = bank.open_escrow()
    other = friendly_address(PersonsWallet("advertiser").raw_address, network="mainnet")

    with pytest.raises(InvalidTonAddress):
        give_refund_address(reference, other)

    assert not selectors.refund_destination_given(reference)


def announced() -> list[dict[str, object]]:
    rows = OutboxMessage.objects.filter(event_type="REFUND_ADDRESS_CHANGED").order_by("pk")
    return [row.payload for row in rows]


def test_the_first_refund_address_counts_at_once_and_is_audited_masked(bank: Bank) -> None:
    reference = bank.open_escrow()
    wallet = PersonsWallet("advertiser").raw_address

    give_refund_address(reference, wallet)

    entry = AuditEntry.objects.get(action="set_refund_address")
    effective_at = bank.escrow(reference).refund_effective_at
    assert effective_at is not None
    assert effective_at == entry.at
    assert (entry.object_id, entry.before) == (str(reference), None)
    assert entry.after == {
        "address": mask_address(wallet),
        "proved": False,
        "effective_at": effective_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    assert announced() == []


def test_the_same_refund_address_again_changes_nothing(bank: Bank) -> None:
    reference = bank.open_escrow()
    give_refund_address(reference, PersonsWallet("advertiser").raw_address)
    before = bank.escrow(reference).refund_effective_at

    give_refund_address(reference, PersonsWallet("advertiser").raw_address)

    assert bank.escrow(reference).refund_effective_at == before
    assert AuditEntry.objects.filter(action="set_refund_address").count() == 1
    assert announced() == []


def test_a_thief_s_refund_address_is_announced_and_put_right_after_paying(bank: Bank) -> None:
    reference = bank.open_escrow()
    mine, thiefs = PersonsWallet("advertiser").raw_address, PersonsWallet("thief").raw_address
    give_refund_address(reference, mine)
    give_refund_address(reference, thiefs)
    bank.pay(reference)

    give_refund_address(reference, mine)

    effective_at = bank.escrow(reference).refund_effective_at
    assert effective_at is not None
    assert effective_at - timezone.now() > dt.timedelta(hours=23)
    assert [event["address"] for event in announced()] == list(map(mask_address, (thiefs, mine)))
    last = AuditEntry.objects.filter(action="set_refund_address").latest("pk")
    assert last.before == {"address": mask_address(thiefs)}


@pytest.mark.parametrize("came", ["the price", "a part", "too late"])
def test_a_first_refund_address_after_money_came_waits_its_day(bank: Bank, came: str) -> None:
    reference = bank.open_escrow()
    if came == "too late":
        bank.close(reference)
    bank.pay(reference, PRICE_NANO // 2 if came == "a part" else PRICE_NANO)
    bank.apply_deposits()

    give_refund_address(reference, PersonsWallet("advertiser").raw_address)

    effective_at = bank.escrow(reference).refund_effective_at
    assert effective_at is not None
    assert effective_at - timezone.now() > dt.timedelta(hours=23)
    assert len(announced()) == 1


def test_an_own_address_is_no_refund_address(bank: Bank) -> None:
    reference = bank.open_escrow()

    with pytest.raises(services.OwnAddress):
        give_refund_address(reference, bank.wallet(reference).address)

    assert not selectors.refund_destination_given(reference)
    assert not AuditEntry.objects.filter(action="set_refund_address").exists()


# --- what parties see -----------------------------------------------------------------------------


def test_how_to_pay(bank: Bank) -> None:
    reference = bank.open_escrow()

    shown = selectors.deposit_instructions(reference)

    assert shown is not None
    address = friendly_address(bank.wallet(reference).address, network="testnet")
    assert shown.address == address
    assert address.startswith("0Q")  # testnet, not bounceable
    assert shown.link == f"ton://transfer/{address}?amount={PRICE_NANO}"
    assert (shown.price_nano, shown.received_nano, shown.state) == (PRICE_NANO, 0, "AWAITING")
    assert shown.deadline_at == bank.escrow(reference).payment_deadline_at


def test_a_deal_without_an_escrow_has_nothing_to_show(bank: Bank) -> None:
    nobody = uuid4()

    assert selectors.deposit_instructions(nobody) is None
    assert selectors.escrow_view(nobody) is None
    assert selectors.payout_view(nobody) is None
    assert selectors.funded_references([nobody]) == set()
    assert selectors.settled_references([nobody]) == {}


def test_an_escrow_shows_what_each_account_holds(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)

    shown = selectors.escrow_view(reference)

    assert shown is not None
    assert (shown.state, shown.funded_nano) == ("RELEASED", PRICE_NANO)
    assert shown.balances == dict.fromkeys(PerDeal, 0) | {
        "OWNER_PENDING": OWNER_SHARE_NANO,
        "COMMISSION": PRICE_NANO - OWNER_SHARE_NANO,
    }


def test_a_payout_shows_how_far_it_is(bank: Bank) -> None:
    reference = bank.payout_due()
    owed = selectors.payout_view(reference)
    assert owed is not None
    assert (owed.state, owed.amount_nano, owed.tx_hash) == ("QUEUED", OWNER_SHARE_NANO, "")

    bank.settle()

    paid = selectors.payout_view(reference)
    assert paid is not None
    assert (paid.state, paid.attempts, paid.confirmed_at is None) == ("CONFIRMED", 1, False)
    [sent] = [
        tx for tx in bank.chain.transactions(bank.wallet(reference).address) if tx["out_msgs"]
    ]
    assert paid.tx_hash == base64.b64decode(sent["hash"]).hex()


def test_all_transfers_of_a_deal_take_two_queries(
    bank: Bank, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    reference = bank.payout_due()
    bank.deposit(reference, TON)
    bank.execute()
    bank.read()

    with django_assert_num_queries(2):
        payout, late = selectors.transfers_of(reference)

    shown = [(one.kind, one.amount_nano, one.recipient) for one in (payout, late)]
    assert shown == [
        ("PAYOUT", OWNER_SHARE_NANO, mask_address(bank.owner.raw_address)),
        ("LATE_DEPOSIT_REFUND", TON, ""),
    ]
    assert (payout.state, len(payout.tx_hash), late.tx_hash) == ("SUBMITTED", 64, "")


def test_sweepers_find_what_is_funded_and_what_is_paid_out(bank: Bank) -> None:
    paid_out = bank.payout_due()
    bank.settle()
    funded, unpaid = bank.funded_escrow(), bank.open_escrow()
    everything = [paid_out, funded, unpaid]

    assert selectors.funded_references(everything) == {funded}
    assert selectors.settled_references(everything) == {paid_out: Outcome.RELEASED}


@pytest.mark.parametrize(
    ("price_nano", "rate_bp"),
    [(1, 1_000), (10 * TON - 1, 1_000), (10 * TON, 800), (100 * TON - 1, 800), (100 * TON, 0)],
)
@pytest.mark.django_db
def test_the_price_decides_the_commission(price_nano: int, rate_bp: int) -> None:
    CommissionTier.objects.create(min_nano=10 * TON, max_nano=100 * TON, rate_bp=800)
    CommissionTier.objects.create(min_nano=100 * TON, max_nano=None, rate_bp=0)

    assert selectors.commission_rate(price_nano=price_nano) == rate_bp


@pytest.mark.django_db
def test_without_tiers_the_commission_is_a_tenth() -> None:
    assert selectors.commission_rate(price_nano=TON) == 1_000


# --- events ---------------------------------------------------------------------------------------


def test_a_paid_deal_tells_each_fact_once(bank: Bank) -> None:
    reference = bank.payout_due()

    bank.settle(turns=8)

    told = OutboxMessage.objects.filter(key=reference).order_by("pk")
    assert list(told.values_list("event_type", flat=True)) == [
        "DEPOSIT_SEEN",
        "DEPOSIT_CONFIRMED",
        "SETTLEMENT_DUE",
        "SETTLEMENT_CONFIRMED",
        "ESCROW_SETTLED",
    ]
    confirmed = told.get(event_type="SETTLEMENT_CONFIRMED")
    assert confirmed.payload["amount_nano"] == OWNER_SHARE_NANO
    [landed] = bank.settlement(reference).chain_transactions.all()
    assert confirmed.payload["tx_hash"] == landed.tx_hash


def test_a_missing_address_is_told_once_however_often_it_is_looked_for(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)

    for _ in range(3):
        bank.execute()

    told = OutboxMessage.objects.get(event_type="PAYOUT_UNCLAIMED")
    assert (told.payload["payee_id"], told.payload["day"]) == (OWNER_ID, 0)
    assert told.payload["amount_nano"] == OWNER_SHARE_NANO
    assert not OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").exists()
    assert bank.settlement(reference).due_at > timezone.now() + dt.timedelta(seconds=30)
