"""How much may be signed: per transfer, per hour, per day; two workers together, too."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.messaging.models import OutboxMessage
from advertmarket.money import NANO_PER_TON
from payments.models import Settlement
from payments.sending import limits, settlements
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.lines import before, line_of
from tests.payments.threads import Meanwhile, elsewhere

TON = 1_000_000_000
UNLIMITED = 10**18
Kind = Settlement.Kind


def limit(settings: Settings, **most_ton: int) -> None:
    """Set limits in TON; there are no others."""
    settings.SIGNING_LIMITS_NANO = dict.fromkeys(("transfer", "hour", "day"), UNLIMITED) | {
        name: ton * TON for name, ton in most_ton.items()
    }


def two_payouts(bank: Bank) -> tuple[UUID, UUID]:
    """Two deals, each of which owes 90 TON."""
    return bank.payout_due(), bank.payout_due()


def attempts(bank: Bank, *references: UUID) -> list[str]:
    return [state for reference in references for state in bank.attempts(reference)]


def stuck_reasons() -> list[str]:
    told = OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").order_by("pk")
    return [message.payload["reason"] for message in told]


# --- one transfer ---------------------------------------------------------------------------------


def test_up_to_the_limit_a_transfer_is_signed(bank: Bank, settings: Settings) -> None:
    limit(settings, transfer=90, hour=90, day=90)
    bank.payout_due()

    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]


@pytest.mark.parametrize("name", ["transfer", "hour", "day"])
def test_beyond_a_limit_nothing_is_signed_and_it_is_told_once(
    bank: Bank, settings: Settings, name: str
) -> None:
    limit(settings, **{name: 89})
    reference = bank.payout_due()

    bank.settle(turns=3)

    settlement = bank.settlement(reference)
    assert (settlement.state, bank.attempts(reference)) == ("QUEUED", [])
    assert settlement.waiting_for == f"the limit of {89 * TON} nanoTON signed per {name}"
    assert stuck_reasons() == [f"the limit per {name} is reached"]
    assert bank.owner_received() == []


def test_a_raised_limit_lets_it_go(bank: Bank, settings: Settings) -> None:
    limit(settings, transfer=89)
    bank.payout_due()
    bank.settle(turns=1)

    limit(settings, transfer=90)
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_of_a_refund_what_is_sent_counts(bank: Bank, settings: Settings) -> None:
    """It owes 100 TON, and sends a little less."""
    reference = bank.refund_due()
    settings.SIGNING_LIMITS_NANO = dict.fromkeys(("transfer", "hour", "day"), PRICE_NANO - 1)

    bank.settle()

    assert bank.settlement(reference, Kind.REFUND).state == "CONFIRMED"


# --- over time ------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "seconds"), [("hour", 3_600), ("day", 86_400)])
def test_the_second_waits_until_the_first_is_long_ago(
    bank: Bank, settings: Settings, name: str, seconds: int
) -> None:
    limit(settings, **{name: 100})
    first, second = two_payouts(bank)
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert attempts(bank, first, second) == ["CONFIRMED"]

    with bank.pass_time(seconds - 60):
        bank.settle(turns=1)
        assert attempts(bank, first, second) == ["CONFIRMED"]
        with bank.pass_time(120):
            bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO, OWNER_SHARE_NANO]


def test_what_never_landed_does_not_count(bank: Bank, settings: Settings) -> None:
    limit(settings, hour=100)
    reference = bank.payout_due()
    bank.chain.fault("message", "swallow")
    bank.settle(turns=1)

    with bank.pass_time(200):
        bank.settle()

    assert bank.attempts(reference) == ["EXPIRED", "CONFIRMED"]
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_what_may_still_land_counts(bank: Bank, settings: Settings) -> None:
    limit(settings, hour=100)
    first, second = two_payouts(bank)
    bank.chain.fault("message", "swallow")

    bank.execute()

    assert attempts(bank, first, second) == ["SUBMITTED"]


def test_all_kinds_count_together(bank: Bank, settings: Settings) -> None:
    limit(settings, hour=140)
    bank.payout_due()
    refunded = bank.refund_due()
    Settlement.objects.filter(kind=Kind.PAYOUT).update(created_at="2026-01-01T00:00Z")

    bank.settle()

    states = sorted(Settlement.objects.values_list("state", flat=True))
    assert states == ["CONFIRMED", "QUEUED"]
    assert bank.settlement(refunded, Kind.REFUND).attempts + len(bank.owner_received()) == 1


def test_money_between_our_own_wallets_does_not_count(bank: Bank, settings: Settings) -> None:
    limit(settings, transfer=90, hour=95)
    reference = bank.payout_due()
    bank.settle()
    bank.sweep()

    bank.settle()

    assert bank.settlement(reference, Kind.COMMISSION_SWEEP).state == "CONFIRMED"
    limit(settings, hour=100)
    bank.deposit(reference, 9 * TON)
    bank.settle()
    assert bank.settlement(reference, Kind.LATE_DEPOSIT_REFUND).state == "CONFIRMED"


# --- two workers at the limit ---------------------------------------------------------------------

SUMMED_UP = line_of(limits.check_limits, "if (signed or 0)")


def test_two_workers_at_the_limit_sign_once(bank: Bank, settings: Settings) -> None:
    limit(settings, hour=100)
    first, second = two_payouts(bank)

    other = Meanwhile(lambda: bank.executor().run(at_most=1))
    with before(SUMMED_UP, other):
        bank.executor().run(at_most=1)
    other.result()

    assert attempts(bank, first, second) == ["SUBMITTED"]
    assert stuck_reasons() == ["the limit per hour is reached"]
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_without_their_lock_both_would_sign(
    bank: Bank, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the other does not wait for its turn."""
    limit(settings, hour=100)
    first, second = two_payouts(bank)

    def other() -> None:
        monkeypatch.setattr(limits, "hold_name", lambda _: None)
        bank.executor().run(at_most=1)

    with before(SUMMED_UP, lambda: elsewhere(other)):
        bank.executor().run(at_most=1)

    assert attempts(bank, first, second) == ["SUBMITTED", "SUBMITTED"]


def test_what_has_no_limit_goes_to_an_own_wallet_only(bank: Bank) -> None:
    """Whatever a row says: where it stays with us, the signer's own key tells."""
    bank.fund_treasury()
    with transaction.atomic():
        settlements.owe(
            kind=Settlement.Kind.GAS_TOPUP,
            reference=bank.funded_escrow(),
            wallet=bank.treasury(),
            destination=bank.owner.raw_address,
            amount_nano=NANO_PER_TON,
            at=timezone.now(),
        )

    bank.settle(turns=2)

    top_up = Settlement.objects.get(kind=Settlement.Kind.GAS_TOPUP)
    assert top_up.state == Settlement.State.NEEDS_OPERATOR
    assert top_up.attempts == 0
    assert bank.owner_received() == []
