"""The pause over HTTP, for operators of the back office; a stop needs nothing but PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.state import redis_state
from payments.models import OperatorRequest, PauseChange
from payments.sending import pause
from payments.sending.pause import changing
from sandbox.process import LOOPBACK, free_port
from tests.database import Clone
from tests.operators import hire
from tests.redis_elsewhere import state_at

pytestmark = pytest.mark.usefixtures("english")

PAUSE, RESUME = "/api/v1/admin/pause", "/api/v1/admin/pause/resume"


@pytest.fixture
def ann(committed_db: Clone) -> Client:
    """An operator who may act, where payouts may run."""
    with transaction.atomic():
        pause.confirm_epoch(actor=Actor.system("test"), reason="test", at=timezone.now())
    return session_of(hire("ann", "operate_money"))


def session_of(operator_id: int) -> Client:
    client = Client(raise_request_exception=False, headers={"accept-language": "en"})
    client.force_login(Operator.objects.get(pk=operator_id))
    return client


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def test_an_operator_pauses_looks_and_resumes(ann: Client) -> None:
    assert ann.get(PAUSE).json() == {
        "paused": False,
        "reasons": [],
        "pause": 0,
        "by": "",
        "why": "",
        "at": None,
        "takesTwo": False,
    }

    assert post(ann, PAUSE, reason="a leak").json()["state"] == "DONE"
    seen = ann.get(PAUSE).json()
    assert (seen["paused"], seen["reasons"]) == (True, ["system:pause_payouts is set"])
    assert (seen["by"], seen["why"], seen["takesTwo"]) == ("ann", "a leak", False)

    answer = post(ann, RESUME, reason="mended", pause=seen["pause"])
    assert (answer.status_code, answer.json()["state"]) == (200, "DONE")
    assert ann.get(PAUSE).json()["paused"] is False
    assert pause.pause_reason() == ""


def test_the_audit_log_says_from_where(ann: Client) -> None:
    ann.post(
        PAUSE,
        {"reason": "a leak"},
        content_type="application/json",
        headers={"x-forwarded-for": "6.6.6.6, 192.0.2.7"},
    )

    entries = AuditEntry.objects.filter(actor_kind="operator")
    assert {entry.action for entry in entries} >= {"payouts.paused"}
    assert {entry.ip_address for entry in entries} == {"192.0.2.7"}


def test_a_stop_needs_no_redis_and_an_end_does(ann: Client, settings: Settings) -> None:
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    stopped = post(ann, PAUSE, reason="a leak")
    seen = ann.get(PAUSE).json()
    refused = post(ann, RESUME, reason="mended", pause=seen["pause"])

    assert stopped.status_code == 200
    assert seen["reasons"] == ["Redis cannot be read (ConnectionError)"]
    assert (refused.status_code, refused.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    assert PauseChange.objects.get().paused


@pytest.mark.parametrize("path", [PAUSE, RESUME])
def test_who_may_not_operate_on_money_changes_nothing(ann: Client, path: str) -> None:
    eve = session_of(hire("eve"))

    answer = post(eve, path, reason="why not", pause=0)

    assert (answer.status_code, answer.json()["error_code"]) == (
        403,
        "AUTH_INSUFFICIENT_PERMISSIONS",
    )
    assert not PauseChange.objects.exists()
    assert redis_state().exists(pause.PAUSE_KEY) == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PAUSE, {}),
        (PAUSE, {"reason": " "}),
        (RESUME, {"reason": "mended"}),
        (RESUME, {"pause": 0}),
    ],
)
def test_without_a_reason_or_the_pause_seen_nothing_is_done(
    ann: Client, path: str, body: dict[str, object]
) -> None:
    assert post(ann, path, **body).status_code == 400
    assert not PauseChange.objects.exists()


def test_a_pause_that_changed_since_is_not_lifted(ann: Client) -> None:
    post(ann, PAUSE, reason="a leak")
    seen = ann.get(PAUSE).json()["pause"]
    post(ann, PAUSE, reason="another leak")

    answer = post(ann, RESUME, reason="mended", pause=seen)

    assert answer.status_code == 409
    assert answer.json()["detail"] == "The pause has changed since you looked: look again."
    assert ann.get(PAUSE).json()["paused"] is True


def test_the_platform_s_own_pause_waits_for_a_second_operator(ann: Client) -> None:
    boris = session_of(hire("boris", "operate_money", "approve_money"))
    with transaction.atomic():
        pause.pause(actor=Actor.system("reconciliation"), reason="check 15", at=timezone.now())
    seen = ann.get(PAUSE).json()
    assert (seen["by"], seen["takesTwo"]) == ("system:reconciliation", True)

    asked = post(ann, RESUME, reason="mended", pause=seen["pause"]).json()
    assert (asked["state"], asked["needsSecond"]) == ("PENDING", True)
    assert ann.get(PAUSE).json()["paused"] is True

    approved = post(boris, f"/api/v1/admin/requests/{asked['id']}/approve")
    assert approved.json()["state"] == "DONE"
    assert ann.get(PAUSE).json()["paused"] is False
    assert OperatorRequest.objects.get().decided_by == Operator.objects.get(username="boris").pk


def test_a_resume_that_did_not_reach_redis_is_no_success(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(ann, PAUSE, reason="a leak")
    seen = ann.get(PAUSE).json()["pause"]
    monkeypatch.setattr(changing, "_delete_flag", lambda *_: None)

    answer = post(ann, RESUME, reason="mended", pause=seen)

    assert (answer.status_code, answer.json()["error_code"]) == (503, "PAYOUTS_PAUSED")
