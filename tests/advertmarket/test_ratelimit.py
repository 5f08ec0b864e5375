"""Rate limits: the burst, then the rate; and what happens when Redis is away."""

from __future__ import annotations

import threading

import pytest
from django.test import Client
from pytest_django import Settings

from advertmarket.ratelimit import RedisAway, take, try_take
from advertmarket.state import redis_state
from tests.redis_elsewhere import state_at


@pytest.fixture
def redis_away(settings: Settings) -> None:
    state_at(settings, "redis://127.0.0.1:9/0")


def test_the_burst_goes_then_one_waits_for_the_next() -> None:
    waits = [take("a", rate_per_s=0.5, burst=3) for _ in range(4)]

    assert waits[:3] == [0, 0, 0]
    assert 1.9 < waits[3] <= 2.0


def test_what_is_refused_takes_nothing() -> None:
    take("a", rate_per_s=0.5, burst=1)
    waits = [take("a", rate_per_s=0.5, burst=1) for _ in range(5)]

    assert max(waits) <= 2.0


def test_keys_are_apart() -> None:
    assert [take(key, rate_per_s=1, burst=1) for key in ("a", "b", "c")] == [0, 0, 0]


def test_what_is_left_is_told() -> None:
    taken = [try_take("a", rate_per_s=1, burst=3) for _ in range(3)]

    assert [each.remaining for each in taken] == [2, 1, 0]
    assert 2.9 < taken[-1].reset_s <= 3.0


def test_a_key_goes_when_its_bucket_is_full_again() -> None:
    take("a", rate_per_s=10, burst=5)

    assert 0 < redis_state().pttl("limit:a") <= 100


def test_the_rate_holds_over_many_threads() -> None:
    allowed: list[float] = []

    def run() -> None:
        allowed.extend(
            wait for _ in range(50) if (wait := take("a", rate_per_s=0.01, burst=20)) == 0
        )

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(allowed) == 20


def test_redis_away_is_told(redis_away: None) -> None:
    with pytest.raises(RedisAway):
        take("a", rate_per_s=1, burst=1)


def test_headers_count_down_and_the_fourth_call_waits(ann: Client) -> None:
    answers = [ann.get("/api/v1/few") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer["RateLimit-Limit"] for answer in answers} == {"3"}
    assert answers[3].json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(answers[3]["Retry-After"]) <= 20
    assert 40 < int(answers[3]["RateLimit-Reset"]) <= 60


def test_with_redis_away_reads_go_on_and_writes_do_not(ann: Client, redis_away: None) -> None:
    read, write = ann.get("/api/v1/few"), ann.post("/api/v1/few")

    assert read.status_code == 200
    assert "RateLimit-Limit" not in read
    assert (write.status_code, write.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    assert write["Retry-After"] == "5"


@pytest.mark.django_db
def test_with_redis_away_nobody_signs_in(client: Client, redis_away: None) -> None:
    answer = client.post("/api/v1/auth/login", {"initData": "x"}, content_type="application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")
