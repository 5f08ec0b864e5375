"""Idempotency-Key: one effect, one answer; also for two calls at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from advertmarket.api import idempotency
from advertmarket.api.idempotency import IdempotencyKey
from advertmarket.api.models import IdempotentAnswer
from advertmarket.audit.models import AuditEntry
from tests.advertmarket.api_views import NetworkView, NotesView
from tests.advertmarket.conftest import sign_in
from tests.database import Clone

NOTE = {"shortText": "hello", "priceNano": "5"}


def post(client: Client, body: object = NOTE, key: str | None = "k", path: str = "notes") -> Any:
    return client.post(
        f"/api/v1/{path}",
        body,
        content_type="application/json",
        headers={"idempotency-key": key} if key is not None else None,
    )


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_the_same_call_again_gets_the_first_answer_and_has_no_effect(ann: Client) -> None:
    first, second = post(ann), post(ann)

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert first.json() == {"shortText": "hello", "priceNano": "5", "number": 1}
    assert (first.get("Idempotent-Replayed"), second["Idempotent-Replayed"]) == (None, "true")
    assert AuditEntry.objects.count() == 1


def test_without_a_key_each_call_has_its_effect(ann: Client) -> None:
    assert [post(ann, key=None).json()["number"] for _ in range(2)] == [1, 2]
    assert not IdempotentAnswer.objects.exists()


def test_the_same_body_spelled_otherwise_is_the_same(ann: Client) -> None:
    post(ann)

    assert post(ann, '{ "priceNano":"5", "shortText":"hello" }').status_code == 201
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [({**NOTE, "priceNano": "6"}, "notes"), (NOTE, "network"), (NOTE, "notes?a=1")],
)
def test_the_key_with_another_request_is_refused(
    ann: Client, body: dict[str, str], path: str
) -> None:
    post(ann)

    assert code(post(ann, body, path=path)) == (422, "IDEMPOTENCY_CONFLICT")
    assert AuditEntry.objects.count() == 1


def test_another_user_s_key_is_another_key(ann: Client) -> None:
    post(ann)

    assert post(sign_in(7)).json()["number"] == 2


def test_a_refusal_is_not_kept_so_the_key_may_try_again(ann: Client) -> None:
    refused = {**NOTE, "shortText": "refused"}

    assert post(ann, refused).status_code == 409
    assert post(ann, {}).status_code == 400
    assert not IdempotentAnswer.objects.exists()
    assert post(ann).json()["number"] == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "ключ", "a\x07b"])
def test_a_malformed_key_is_refused(ann: Client, key: str) -> None:
    answer = post(ann, key=key)

    assert code(answer) == (400, "VALIDATION_FAILED")
    assert answer.json()["violations"][0]["field"] == "Idempotency-Key"
    assert not AuditEntry.objects.exists()


def test_after_24_hours_the_key_is_new(ann: Client) -> None:
    post(ann)
    now = timezone.now()
    IdempotentAnswer.objects.update(created_at=now - timedelta(hours=24))

    assert post(ann, {**NOTE, "priceNano": "6"}).json()["number"] == 2
    assert IdempotentAnswer.objects.count() == 1
    assert idempotency.forget_answers(at=now) == 0
    assert idempotency.forget_answers(at=now + timedelta(hours=25)) == 1


def test_a_repeated_call_does_not_ask_the_network_again(ann: Client) -> None:
    NetworkView.calls.clear()

    answers = [post(ann, path="network").json() for _ in range(2)]

    assert answers[0] == answers[1] == {"shortText": "hello!", "priceNano": "7", "number": 1}
    assert len(NetworkView.calls) == 1


def test_no_connection_waits_while_the_network_is_asked(
    committed_db: Clone, small_api: None
) -> None:
    NetworkView.calls.clear()

    answer = post(sign_in(), path="network")

    assert (answer.status_code, NetworkView.calls) == (200, [False])


class Halfway:
    """Holds the first POST just before its commit."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            assert self.go_on.wait(10)


@pytest.fixture
def halfway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Halfway]:
    halfway = Halfway()
    monkeypatch.setattr(NotesView, "before_commit", halfway)
    yield halfway
    halfway.go_on.set()


def in_background(client: Client, answers: list[Any]) -> threading.Thread:
    def run() -> None:
        answers.append(post(client))
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_second_call_while_the_first_runs_is_refused_at_once(
    committed_db: Clone, small_api: None, halfway: Halfway
) -> None:
    ann, answers = sign_in(), list[Any]()
    first = in_background(ann, answers)
    assert halfway.reached.wait(10)

    second = post(ann)
    halfway.go_on.set()
    first.join(20)

    assert code(second) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert second["Retry-After"] == "1"
    assert answers[0].status_code == 201
    assert post(ann).content == answers[0].content
    assert AuditEntry.objects.count() == 1


def test_without_the_lock_both_calls_have_their_effect(
    committed_db: Clone, small_api: None, halfway: Halfway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the race is real."""
    monkeypatch.setattr(IdempotencyKey, "lock", lambda self: None)
    ann, answers = sign_in(), list[Any]()
    first = in_background(ann, answers)
    assert halfway.reached.wait(10)

    second = post(ann)
    halfway.go_on.set()
    first.join(20)

    assert second.status_code == answers[0].status_code == 201
    assert AuditEntry.objects.count() == 2


def test_many_calls_at_once_have_one_effect(committed_db: Clone, small_api: None) -> None:
    ann, answers = sign_in(), list[Any]()

    threads = [in_background(ann, answers) for _ in range(6)]
    for thread in threads:
        thread.join(30)

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert AuditEntry.objects.count() == 1
