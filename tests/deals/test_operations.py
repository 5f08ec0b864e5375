"""The operators' door to disputes: permission, the sum as seen, a second person, the audit log."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.errors import DomainError
from deals.models import Deal, Dispute
from deals.operations import NotInEscrow
from payments.models import OperatorRequest, Settlement
from payments.operations import requests
from payments.operations.requests import NotPermitted, UnknownOperation
from tests.operators import hire

from .market import PRICE_NANO, FundedMarket, nothing_changes

SPLIT: dict[str, Any] = {"decision": "SPLIT", "owner_bp": 4_000, "nano": PRICE_NANO}


def operator(name: str, *permissions: str) -> Actor:
    """A person of the back office who may do this."""
    return Actor.operator(hire(name, *permissions))


def ask(deal_id: UUID, actor: Actor, changes: dict[str, object] | None = None) -> OperatorRequest:
    with transaction.atomic():
        return requests.ask(
            name="dispute.decide",
            payload={**SPLIT, "deal_id": deal_id, **(changes or {})},
            reason="Half of it was done",
            actor=actor,
            at=timezone.now(),
        )


def owed(deal_id: UUID) -> list[tuple[str, int]]:
    rows = Settlement.objects.filter(reference=deal_id).order_by("kind")
    return list(rows.values_list("kind", "amount_nano"))


@pytest.fixture
def disputed(funded_market: FundedMarket) -> UUID:
    """Anna disputes the ad that Oleg submitted."""
    deal_id = funded_market.submitted()
    funded_market.dispute(deal_id)
    return deal_id


def test_a_decision_is_owed_at_once_and_audited(disputed: UUID) -> None:
    vera = operator("vera", "operate_money")

    request = ask(disputed, vera)

    assert (request.state, request.amount_nano) == ("DONE", PRICE_NANO)
    assert owed(disputed) == [
        ("PAYOUT", PRICE_NANO * 36 // 100),
        ("REFUND", PRICE_NANO * 60 // 100),
    ]
    entry = AuditEntry.objects.get(action="dispute.decide.done")
    assert (entry.actor_id, entry.reason) == (vera.id, "Half of it was done")


def test_above_a_limit_a_second_person_decides(disputed: UUID, settings: Settings) -> None:
    settings.OPERATOR_LIMITS_NANO = {"operation": PRICE_NANO - 1, "day": PRICE_NANO}
    vera, boris = operator("vera", "operate_money"), operator("boris", "approve_money")

    request = ask(disputed, vera)
    assert (request.state, owed(disputed)) == ("PENDING", [])
    with transaction.atomic():
        requests.approve(request_id=request.pk, actor=boris, at=timezone.now())

    assert [kind for kind, _nano in owed(disputed)] == ["PAYOUT", "REFUND"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"nano": PRICE_NANO - 1}, NotInEscrow),
        ({"deal_id": UUID(int=1)}, NotInEscrow),
        ({"decision": "KEEP"}, UnknownOperation),
        ({"owner_bp": "4000"}, UnknownOperation),
    ],
)
def test_what_is_not_as_the_operator_says_is_refused(
    disputed: UUID, changes: dict[str, object], refusal: type[DomainError]
) -> None:
    vera = operator("vera", "operate_money")

    with nothing_changes(), pytest.raises(refusal):
        ask(disputed, vera, changes)


def test_who_may_not_act_on_money_decides_no_dispute(disputed: UUID) -> None:
    colleague = operator("support", "approve_money")

    with nothing_changes(), pytest.raises(NotPermitted):
        ask(disputed, colleague)


def test_an_operator_disputes_a_paid_deal(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()
    vera = operator("vera", "operate_money")

    with transaction.atomic():
        requests.ask(
            name="dispute.open",
            payload={"deal_id": deal_id, "reason": "NOT_POSTED"},
            reason="The channel's messages end before it",
            actor=vera,
            at=timezone.now(),
        )

    dispute = Dispute.objects.get(deal_id=deal_id)
    assert (dispute.reason, dispute.opened_by) == ("NOT_POSTED", str(vera))
    assert Deal.objects.get(id=deal_id).status == "DISPUTED"
    assert owed(deal_id) == []
