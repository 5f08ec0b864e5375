"""The door to the chain: what it tries again, what it never does, and what it does not believe."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
import redis
from pytest_django.fixtures import Settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from advertmarket import ratelimit, state
from payments.ton import breaker, client
from payments.ton.breaker import Breaker
from payments.ton.client import TonClient, TonUnavailable
from payments.ton.wallet import FeeQuestion
from sandbox.process import LOOPBACK, free_port
from tests.payments.server import Answer, Server, Sleeps
from tests.waiting import wait_until

ADDRESS = "0:" + "1" * 64
QUESTION = FeeQuestion(body="", init_code="", init_data="")

CALLS: dict[str, Callable[[TonClient], object]] = {
    "head": lambda ton: ton.head(),
    "block": lambda ton: [ton.whole(tx) for tx in ton.block_chain_transactions(7)],
    "account": lambda ton: ton.account_chain_transactions([ADDRESS], after_lt=0),
    "received": lambda ton: ton.received("ab" * 32, by=ADDRESS, after_lt=0),
    "wallet_state": lambda ton: ton.wallet_state(ADDRESS),
    "is_active": lambda ton: ton.is_active(ADDRESS),
    "estimate_fee": lambda ton: ton.estimate_fee(ADDRESS, QUESTION),
}


@pytest.fixture
def ton(server: Server) -> Iterator[TonClient]:
    ton = TonClient()
    ton._http.timeout = httpx.Timeout(0.2)
    yield ton
    ton.close()


# --- what is tried again -------------------------------------------------------------------------


def test_an_answer_is_parsed(ton: TonClient, server: Server) -> None:
    assert (ton.head().seqno, int(ton.head().gen_utime.timestamp())) == (7, 1_800_000_000)
    assert server.asked == ["masterchainInfo"] * 2


@pytest.mark.parametrize(
    ("retry_after", "waits_s"),
    [("3", 3), ("3600", 10), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-1", 1), ("", 1)],
)
def test_a_429_is_waited_out(
    ton: TonClient, server: Server, sleeps: Sleeps, retry_after: str, waits_s: float
) -> None:
    server.answers = [Answer({}, 429, {"Retry-After": retry_after}), Answer()]

    assert ton.head().seqno == 7

    assert sleeps.slept[0] == waits_s
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_is_tried_again(
    ton: TonClient, server: Server, sleeps: Sleeps, status: int
) -> None:
    server.answers = [Answer({"error": "x"}, status)] * 3 + [Answer()]

    assert ton.head().seqno == 7
    assert len(server.asked) == 4


def test_each_further_try_waits_longer(ton: TonClient, server: Server, sleeps: Sleeps) -> None:
    server.answers = [Answer({"error": "gone"}, 500)]

    with pytest.raises(TonUnavailable, match="masterchainInfo: 500 gone"):
        ton.head()

    assert len(server.asked) == 4
    bounds = [(0.4, 1), (0.8, 2), (1.6, 4)]
    assert all(
        low <= slept <= high for slept, (low, high) in zip(sleeps.slept, bounds, strict=True)
    )


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refusal_is_not_tried_again(
    ton: TonClient, server: Server, sleeps: Sleeps, status: int
) -> None:
    server.answers = [Answer({"error": "no", "code": status}, status)]

    with pytest.raises(TonUnavailable, match=f"masterchainInfo: {status} no"):
        ton.head()

    assert len(server.asked) == 1
    assert sleeps.slept == []


def test_a_time_out_is_tried_again(ton: TonClient, server: Server, sleeps: Sleeps) -> None:
    server.answers = [Answer(silent=True), Answer()]

    assert ton.head().seqno == 7
    assert len(server.asked) == 2


def test_nobody_listening_is_said_so(settings: Settings, sleeps: Sleeps) -> None:
    settings.TON_API_URL = f"http://{LOOPBACK}:{free_port()}"

    with closing(TonClient()) as ton, pytest.raises(TonUnavailable, match="ConnectError"):
        ton.head()

    assert len(sleeps.slept) == 3


# --- what is never tried again -------------------------------------------------------------------


@pytest.mark.parametrize("status", [422, 429, 500, 504])
def test_a_refused_broadcast_is_sent_once_and_its_answer_kept(
    ton: TonClient, server: Server, sleeps: Sleeps, status: int
) -> None:
    server.answers = [Answer({"error": "exitcode=33"}, status)]

    assert ton.send("AA==") == f"{status} exitcode=33"

    assert server.asked == ["message"]
    assert sleeps.slept == []


def test_a_broadcast_without_an_answer_is_sent_once(
    ton: TonClient, server: Server, sleeps: Sleeps
) -> None:
    server.answers = [Answer(silent=True)]

    with pytest.raises(TonUnavailable, match="ReadTimeout"):
        ton.send("AA==")

    assert server.asked == ["message"]


class Refused(Exception):
    """Nothing is to be sent."""


def test_a_broadcast_is_refused_even_when_its_connection_stands(settings: Settings) -> None:
    """Making one takes up to seconds."""
    visitors: list[socket.socket] = []

    def refuse() -> None:
        with contextlib.suppress(BlockingIOError):
            visitors.append(door.accept()[0])
        if visitors:
            raise Refused

    with socket.create_server((LOOPBACK, 0)) as door:
        door.setblocking(False)
        settings.TON_API_URL = f"http://{LOOPBACK}:{door.getsockname()[1]}"
        with closing(TonClient()) as ton:
            ton._http.timeout = httpx.Timeout(0.2)
            with pytest.raises(Refused):
                ton.send("AA==", refuse=refuse)
        with visitors[0] as visitor:
            assert visitor.recv(1) == b""


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"exit 33"', b"null", b"\xff\xfe", b"{}"])
def test_whatever_a_broadcast_is_answered_is_an_answer(
    ton: TonClient, server: Server, body: bytes
) -> None:
    server.answers = [Answer(body, 500)]

    assert ton.send("AA==").startswith("500")


# --- what is not believed ------------------------------------------------------------------------

MALFORMED: list[Any] = [
    b"",
    b"<html>502 Bad Gateway</html>",
    b"\xff\xfe\x00",
    None,
    [],
    "text",
    {},
    {"last": None, "transactions": None, "source_fees": None, "status": None, "balance": "x"},
    {"last": {"seqno": 7}, "transactions": [None], "source_fees": [], "status": [], "seqno": []},
    {
        "last": {"seqno": 7, "gen_utime": None},
        "transactions": [{"account": ADDRESS}],
        "source_fees": {"gas_fee": 1},
        "status": 3,
        "balance": {},
    },
    {
        "last": {"seqno": 7, "gen_utime": 10**30},
        "transactions": [
            {"account": ADDRESS, "hash": "!", "lt": "1", "now": 10**30, "mc_block_seqno": 1}
        ],
        "source_fees": {"gas_fee": "1.5"},
        "status": {"x": 1},
        "balance": "1.5",
    },
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("name", CALLS)
def test_a_malformed_answer_is_no_answer(
    ton: TonClient, server: Server, name: str, body: Any
) -> None:
    server.answers = [Answer(body)]

    with pytest.raises(TonUnavailable, match="makes no sense"):
        CALLS[name](ton)


# --- pages ---------------------------------------------------------------------------------------


def test_pages_are_read_until_a_short_one(
    ton: TonClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    full = {"transactions": [_chain_transaction(lt) for lt in (1, 2)]}
    server.answers = [Answer(full), Answer(full), Answer({"transactions": []})]

    assert len(ton.block_chain_transactions(7)) == 4
    assert len(server.asked) == 3


def test_a_page_that_fails_fails_the_whole_block(
    ton: TonClient, server: Server, sleeps: Sleeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 1)
    page = {"transactions": [_chain_transaction(1)]}
    server.answers = [Answer(page), Answer({"error": "gone"}, 500)]

    with pytest.raises(TonUnavailable):
        ton.block_chain_transactions(7)


def _chain_transaction(lt: int) -> dict[str, Any]:
    return {"account": ADDRESS, "hash": "", "lt": str(lt), "now": 1, "mc_block_seqno": 7}


# --- the breaker ---------------------------------------------------------------------------------


def test_the_breaker_opens_at_half_of_twenty_and_asks_nobody(
    ton: TonClient, server: Server
) -> None:
    for _ in range(10):
        ton.send("AA==")
    server.answers = [Answer({"error": "down"}, 503)]
    for _ in range(10):
        ton.send("AA==")
    asked = len(server.asked)

    with pytest.raises(TonUnavailable, match="breaker is open"):
        ton.send("AA==")

    assert len(server.asked) == asked == 20


def test_fewer_failures_than_half_do_not_open_the_breaker(ton: TonClient, server: Server) -> None:
    for _ in range(11):
        ton.send("AA==")
    server.answers = [Answer({"error": "down"}, 503)] * 9 + [Answer()]
    for _ in range(10):
        ton.send("AA==")

    assert ton.head().seqno == 7


@pytest.mark.thorough
def test_a_contract_that_refuses_a_message_is_no_failure_of_the_service(
    ton: TonClient, server: Server
) -> None:
    server.answers = [Answer({"error": "LITE_SERVER_UNKNOWN: cannot apply: exitcode=33"}, 500)]

    for _ in range(40):
        assert "exitcode=33" in ton.send("AA==")


def test_after_its_time_the_breaker_lets_calls_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaker, "OPEN_S", 0.05)
    watched = Breaker()
    for _ in range(Breaker.WINDOW):
        watched.record(ok=False)
    assert not watched.allows()

    wait_until(watched.allows, what="the breaker closes")


def test_one_more_failure_opens_it_again_until_most_calls_go_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Breaker, "OPEN_S", 0.0)
    watched = Breaker()
    for _ in range(Breaker.WINDOW):
        watched.record(ok=False)
    monkeypatch.setattr(Breaker, "OPEN_S", 60.0)

    watched.record(ok=True)
    assert watched.allows()
    watched.record(ok=False)
    assert not watched.allows()

    fresh = Breaker()
    for _ in range(11):
        fresh.record(ok=True)
    for _ in range(9):
        fresh.record(ok=False)
    assert fresh.allows()


def test_the_breaker_stays_open_for_thirty_seconds() -> None:
    assert breaker.Breaker.OPEN_S == 30.0


# --- the key's rate ------------------------------------------------------------------------------


@pytest.mark.thorough
def test_two_clients_share_the_rate(server: Server, settings: Settings) -> None:
    settings.TON_API_RPS = 43  # 40 a second, and as many at once, are for reading
    clients = [TonClient(), TonClient()]
    began = time.monotonic()

    def ask(ton: TonClient) -> None:
        for _ in range(35):
            ton.head()
        ton.close()

    threads = [threading.Thread(target=ask, args=(ton,)) for ton in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(server.asked) == 70
    assert time.monotonic() - began >= (70 - 40 - 1) / 40


def test_reading_leaves_payouts_their_share(
    server: Server, settings: Settings, sleeps: Sleeps
) -> None:
    settings.TON_API_RPS = 10
    with closing(TonClient()) as reading, closing(TonClient(for_payouts=True)) as paying:
        while not sleeps.slept:
            reading.head()
        sleeps.slept.clear()

        for _ in range(3):
            paying.head()

    assert sleeps.slept == []


def test_without_redis_each_call_waits_a_turn(
    ton: TonClient, monkeypatch: pytest.MonkeyPatch, sleeps: Sleeps
) -> None:
    nobody = redis.Redis(host=LOOPBACK, port=free_port(), retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(ratelimit, "redis_state", lambda: nobody)

    ton.head()

    assert sleeps.slept == [1 / 997]
    assert state.redis_state() is not nobody
