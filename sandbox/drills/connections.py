"""6: no connection is left: a forgotten session holds a lock, a left-over process takes all."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg

from sandbox.demo.deal import Deal

from .room import Room
from .script import Missing, until

POOL = 1
REQUESTS = 8
_IDLE = re.compile(r"^\s*(\d+)\s.*idle in transaction, psql", re.MULTILINE)


def drill(room: Room) -> None:
    """The session is ended, the process stopped; requests are answered, a deposit is credited."""
    _pool(room)
    _server(room)


def _pool(room: Room) -> None:
    eyes, script = room.eyes, room.script
    deal = room.offered_deal()
    script.cause(
        f"the web role runs with DB_POOL_MAX={POOL}, and a forgotten psql has locked a table"
    )
    room.stack.restart_role("web", DB_POOL_MAX=str(POOL))
    room.stack.wait_ready()
    eyes.look_before()
    with contextlib.closing(_session(room, "psql", autocommit=False)) as forgotten:
        forgotten.execute("LOCK TABLE deals IN ACCESS EXCLUSIVE MODE")
        statuses = _ask(room, deal)
        if 503 not in statuses:
            raise Missing(f"requests that get no connection are answered 503: {statuses}")
        script.symptom("API", f"{statuses.count(503)} of {REQUESTS} requests are answered 503")
        eyes.metric("db_pool_errors_total", lambda value: value > 0, job="backend")
        eyes.alert("PoolExhausted", {"job": "backend"})
        if "couldn't get a connection" not in room.stack.children["web"].output():
            raise Missing("the web role's log does not say “couldn't get a connection”")
        script.symptom("log", "web: couldn't get a connection")
        printed = room.operators.look("db_activity")
        script.symptom("db_activity", "")
        script.says(printed)
        found = _IDLE.search(printed)
        if found is None or f"waits for {found[1]} (psql)" not in printed:
            raise Missing("db_activity does not say who waits for the forgotten psql")
        reason = "A drill: a forgotten session holds a lock"
        room.operators.run("db_activity", "--terminate", found[1], "--reason", reason)
        statuses = _ask(room, deal)
    if set(statuses) != {200}:
        raise Missing(f"every request is answered 200: {statuses}")
    script.proof(f"{REQUESTS} of {REQUESTS} requests are answered 200, with the same small pool")
    script.fix("DB_POOL_MAX as it was; the web role is restarted")
    room.stack.restart_role("web")
    room.stack.wait_ready()
    eyes.quiet("PoolExhausted")


def _server(room: Room) -> None:
    eyes, script = room.eyes, room.script
    script.cause("a left-over process takes every connection that PostgreSQL gives")
    taken = _take_all(room)
    try:
        eyes.public(is_up=False)
        eyes.down("db")
        printed = room.operators.look("db_activity")
        if "slots" not in printed and "too many clients" not in printed:
            raise Missing(f"db_activity does not say that no connection is left: {printed}")
        script.symptom("db_activity", printed.strip().splitlines()[-1])
        script.fix("some connections are freed: a few of the left-over process's are closed")
        for _ in range(12):
            taken.pop().close()
        eyes.metric("postgres_connections", lambda value: value > 180)
        eyes.alert("ConnectionsNearlyOut", {"instance": "watch"})
        eyes.incident_later("connections_run_out", after_s=60)
        printed = room.operators.look("db_activity")
        script.says("\n".join(printed.splitlines()[:8]))
    finally:
        script.fix("the left-over process is stopped")
        for connection in taken:
            connection.close()
    eyes.public(is_up=True)
    deal = room.funded_deal()
    script.proof(f"a deposit is credited: deal {deal.id} is FUNDED")
    eyes.metric("postgres_connections", lambda value: value < 150)
    eyes.quiet("ConnectionsNearlyOut")


def _ask(room: Room, deal: Deal) -> list[int]:
    """The statuses with which as many requests at once are answered."""
    token = deal.advertiser.api.token
    url = f"{room.stack.web_url}/api/v1/deals/{deal.id}"

    def ask(_: int) -> int:
        return httpx.get(url, headers={"Authorization": token}, timeout=40).status_code

    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(ask, range(REQUESTS)))


def _take_all(room: Room) -> list[psycopg.Connection[tuple[object, ...]]]:
    taken: list[psycopg.Connection[tuple[object, ...]]] = []

    def take() -> bool | None:
        try:
            while True:
                taken.append(_session(room, "left-over", autocommit=True))
        except psycopg.OperationalError:
            return True if len(taken) > 100 else None

    until(take, "PostgreSQL never ran out of connections", within_s=30)
    return taken


def _session(room: Room, name: str, *, autocommit: bool) -> psycopg.Connection[tuple[object, ...]]:
    env = room.stack.env
    return psycopg.connect(
        host=env["DB_HOST"],
        port=env["DB_PORT"],
        dbname=env["DB_NAME"],
        user=env["DB_USER"],
        password=env["DB_PASSWORD"],
        application_name=name,
        autocommit=autocommit,
    )
