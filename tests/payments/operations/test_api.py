"""Operators over HTTP: their own world, which no Telegram user enters."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from accounts.models import Operator
from advertmarket.audit.models import AuditEntry
from payments.models import CommissionTier, Deposit, Escrow, OperatorRequest, Settlement
from tests.advertmarket.conftest import sign_in
from tests.operators import hire
from tests.payments.bank import OWNER_SHARE_NANO, Bank
from tests.payments.operations.desk import Desk, nothing_changes

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
ASKED = (OperatorRequest, AuditEntry)


def session_of(operator_id: int, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(Operator.objects.get(pk=operator_id))
    return client


@pytest.fixture
def ann(desk: Desk) -> Client:
    return session_of(desk.ann)


@pytest.fixture
def boris(desk: Desk) -> Client:
    return session_of(desk.boris)


def post(client: Client, path: str, body: object = None, **headers: str) -> Any:
    return client.post(
        f"/api/v1/admin/{path}", body or {}, content_type="application/json", headers=headers
    )


def about(settlement: Settlement, reason: str = "a reason") -> dict[str, str]:
    return {"amountNano": str(settlement.amount_nano), "reason": reason}


def doors() -> list[tuple[str, str]]:
    some = UUID(int=7)
    return [
        *(("post", f"deposits/{some}/{what}") for what in ("approve", "reject")),
        *(("post", f"tx/{some}/{what}") for what in ("retry", "confirm", "hold")),
        ("get", "commission/tiers"),
        ("put", "commission/tiers"),
        ("get", "pause"),
        ("post", "pause"),
        ("post", "pause/resume"),
        ("get", "requests"),
        *(("post", f"requests/{some}/{what}") for what in ("approve", "reject")),
    ]


@pytest.mark.parametrize(("method", "path"), doors())
def test_strangers_and_telegram_users_are_refused(
    desk: Desk, bank: Bank, method: str, path: str
) -> None:
    for client in (Client(), sign_in(desk.ann)):
        with nothing_changes():
            answer = getattr(client, method)(
                f"/api/v1/admin/{path}", content_type="application/json"
            )
        assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), doors())
def test_an_operator_who_was_blocked_is_refused(desk: Desk, method: str, path: str) -> None:
    client = session_of(desk.ann)
    Operator.objects.filter(pk=desk.ann).update(is_active=False)

    with nothing_changes():
        answer = getattr(client, method)(f"/api/v1/admin/{path}", content_type="application/json")
    assert answer.status_code == 401


def test_a_session_without_its_csrf_token_writes_nothing(desk: Desk, bank: Bank) -> None:
    client = session_of(desk.ann, enforce_csrf_checks=True)
    reference = bank.payout_due()
    settlement = bank.settlement(reference)

    with nothing_changes():
        answer = post(client, f"tx/{settlement.pk}/hold", about(settlement))

    assert answer.status_code == 403
    assert client.get("/api/v1/admin/requests").status_code == 200


def test_a_payout_is_held(desk: Desk, bank: Bank, ann: Client) -> None:
    reference = bank.payout_due()
    settlement = bank.settlement(reference)

    answer = post(ann, f"tx/{settlement.pk}/hold", about(settlement))

    body = answer.json()
    assert (body["state"], body["action"], body["requestedBy"]) == (
        "DONE",
        "settlement.hold",
        desk.ann,
    ), body
    assert body["amountNano"] == str(OWNER_SHARE_NANO)
    assert bank.settlement(reference).state == "HELD"


def test_the_same_key_holds_once_and_is_not_a_telegram_users(
    desk: Desk, bank: Bank, ann: Client
) -> None:
    settlement = bank.settlement(bank.payout_due())
    key = {"Idempotency-Key": "k"}

    answers = [post(ann, f"tx/{settlement.pk}/hold", about(settlement), **key) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert OperatorRequest.objects.count() == 1


def test_what_was_given_up_is_retried(desk: Desk, bank: Bank, ann: Client) -> None:
    reference = bank.payout_due()
    subwallet = bank.wallet(reference).subwallet
    desk.do("wallet.freeze", subwallet=subwallet)
    bank.execute()
    desk.do("wallet.unfreeze", subwallet=subwallet)
    settlement = bank.settlement(reference)

    assert post(ann, f"tx/{settlement.pk}/retry", about(settlement)).status_code == 200
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_a_confirmation_waits_for_the_second_person(
    desk: Desk, bank: Bank, ann: Client, boris: Client
) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.read()
    bank.chain.mine()
    settlement = bank.settlement(reference)
    asked = post(ann, f"tx/{settlement.pk}/confirm", about(settlement)).json()

    [waiting] = boris.get("/api/v1/admin/requests").json()["items"]
    own = post(ann, f"requests/{asked['id']}/approve")
    done = post(boris, f"requests/{asked['id']}/approve")

    assert waiting == asked
    assert own.status_code == 403
    assert done.json()["state"] == "DONE", done.content
    assert bank.settlement(reference).state == "CONFIRMED"
    assert boris.get("/api/v1/admin/requests").json()["items"] == []


def test_a_request_is_rejected(desk: Desk, bank: Bank, ann: Client, boris: Client) -> None:
    settlement = bank.settlement(bank.payout_due())
    asked = post(ann, f"tx/{settlement.pk}/confirm", about(settlement)).json()

    with nothing_changes(but=ASKED):
        answer = post(boris, f"requests/{asked['id']}/reject")

    assert answer.json()["state"] == "REJECTED"
    assert post(boris, f"requests/{asked['id']}/approve").status_code == 409


def test_a_large_deposit_is_approved_by_two(
    desk: Desk, bank: Bank, ann: Client, boris: Client
) -> None:
    reference = bank.open_escrow(2_000 * TON)
    bank.chain.faucet(bank.wallet(reference).address, 2_000 * TON)
    bank.chain.mine(5)
    bank.read()
    bank.apply_deposits()
    body = {
        "depositId": Deposit.objects.get().pk,
        "amountNano": str(2_000 * TON),
        "reason": "called them",
    }

    other_deal = post(ann, f"deposits/{uuid4()}/approve", body)
    asked = post(ann, f"deposits/{reference}/approve", body)
    post(boris, f"requests/{asked.json()['id']}/approve")

    assert other_deal.status_code == 409
    assert asked.json()["needsSecond"] is True
    assert bank.escrow(reference).state == Escrow.State.FUNDED


def test_the_tiers_are_shown_and_replaced_by_two(
    desk: Desk, bank: Bank, ann: Client, boris: Client
) -> None:
    tiers: list[dict[str, Any]] = [{"minNano": "0", "maxNano": "5", "rateBp": 100}]
    tiers.append({"minNano": "5", "maxNano": None, "rateBp": 50})
    path = "/api/v1/admin/commission/tiers"

    asked = ann.put(path, {"tiers": tiers, "reason": "agreed"}, content_type="application/json")
    assert CommissionTier.objects.count() == 0
    post(boris, f"requests/{asked.json()['id']}/approve")

    assert ann.get(path).json() == {"tiers": tiers}


def test_whoever_may_do_nothing_is_told_so(desk: Desk, bank: Bank) -> None:
    clerk = session_of(hire("clerk"))
    settlement = bank.settlement(bank.payout_due())

    with nothing_changes():
        answer = post(clerk, f"tx/{settlement.pk}/hold", about(settlement))

    assert (answer.status_code, answer.json()["error_code"]) == (
        403,
        "AUTH_INSUFFICIENT_PERMISSIONS",
    )
