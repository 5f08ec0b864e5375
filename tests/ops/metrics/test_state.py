"""The platform's state, as the watch shows it."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from prometheus_client import CollectorRegistry

from advertmarket.messaging.models import OutboxMessage
from advertmarket.state import redis_state
from deals import sweeps
from deals.models import Dispute
from ops import metrics
from ops.metrics import Source, all_sources, state
from ops.metrics.state import READ, State
from payments.models import Wallet
from payments.sending.pause import PAUSE_KEY
from tests.deals.market import FundedMarket
from tests.payments.bank import PRICE_NANO, Bank


class Scrape:
    """A registry that shows the state alone, read a moment ago."""

    def __init__(self) -> None:
        self.state = State()
        self.registry = CollectorRegistry()
        self.registry.register(self.state)

    def __call__(self, name: str, **labels: str) -> float | None:
        """Return a sample as it is shown now."""
        return self.registry.get_sample_value(name, labels)

    def anew(self) -> Scrape:
        """Read all, whenever it was read last."""
        self.state._readings.clear()
        self.state.refresh()
        return self


def scrape() -> Scrape:
    return Scrape().anew()


@pytest.mark.django_db
def test_every_source_can_be_read() -> None:
    shown = scrape()

    failed = {one.name: shown("state_read_failed", source=one.name) for one in all_sources()}
    assert failed == dict.fromkeys(failed, 0.0)


@pytest.mark.django_db
def test_what_is_described_is_what_is_shown() -> None:
    shown = scrape().state

    described = [(one.name, one.documentation, one.type) for one in shown.describe()]
    collected = [(one.name, one.documentation, one.type) for one in shown.collect()]
    assert sorted(described) == sorted(collected)
    gauges = {gauge for one in all_sources() for gauge in one.gauges} | READ.keys()
    assert {name for name, _, _ in collected} == gauges


def test_deposits_payouts_and_money(bank: Bank) -> None:
    bank.pay(bank.open_escrow())
    reference = bank.payout_due()
    shown = scrape()

    assert shown("deposits_waiting", state="CONFIRMING") == 0
    assert shown("deposits_waiting", state="REVIEW") == 0
    assert shown("settlements_open", kind="PAYOUT", state="QUEUED") == 1
    assert shown("settlements_open_ton", kind="PAYOUT", state="QUEUED") == 90
    age = shown("settlements_oldest_age_seconds", kind="PAYOUT", state="QUEUED")
    assert 0 <= (age or 0) < 60
    assert shown("wallets_frozen") == 0
    assert shown("wallets_ready") == Wallet.objects.filter(reference=None, subwallet__gt=0).count()
    assert shown("ton_cursor_blocks_behind") == 0
    assert shown("payouts_paused") == 0
    assert {
        (account, side): shown("money_ton", account=account, side=side)
        for account, side in (("WALLETS", "held"), ("OWNER_PENDING", "owed"), ("COMMISSION", "own"))
    } == {
        ("WALLETS", "held"): 2 * PRICE_NANO / 1e9,
        ("OWNER_PENDING", "owed"): 90,
        ("COMMISSION", "own"): 10,
    }

    bank.settle()
    shown.anew()
    assert bank.settlement(reference).state == "CONFIRMED"
    assert shown("settlements_open", kind="PAYOUT", state="QUEUED") is None
    assert shown("money_ton", account="OWNER_PENDING", side="owed") == 0


def test_a_frozen_wallet_is_shown(bank: Bank) -> None:
    Wallet.objects.filter(subwallet=1).update(
        frozen_at="2026-01-01T00:00:00Z", frozen_reason="test"
    )

    assert scrape()("wallets_frozen") == 1


def test_deals_wait_by_their_status(funded_market: FundedMarket) -> None:
    funded_market.funded()
    shown = scrape()

    assert shown("deals", status="FUNDED") == 1
    assert shown("deals_held", status="FUNDED") == 0
    assert 0 <= (shown("deals_oldest_age_seconds", status="FUNDED") or 0) < 60
    assert shown("deals", status="COMPLETED_RELEASED") is None
    assert shown("deals_overdue_seconds") == 0
    assert shown("outbox_pending") == OutboxMessage.objects.count() > 0
    assert shown("outbox_failed") == 0


def test_a_dispute_is_overdue_however_often_it_was_escalated(funded_market: FundedMarket) -> None:
    disputed = funded_market.submitted()
    funded_market.dispute(disputed)
    assert scrape()("disputes_open") == 1
    assert scrape()("disputes_overdue_seconds") == 0

    Dispute.objects.update(opened_at=timezone.now() - dt.timedelta(days=7, minutes=1))
    sweeps.escalate_disputes()

    assert 60 <= (scrape()("disputes_overdue_seconds") or 0) < 120


def test_a_pause_and_a_lost_epoch_are_told_apart(bank: Bank) -> None:
    def names() -> tuple[float | None, ...]:
        shown = scrape()
        return tuple(
            shown(one) for one in ("payouts_paused", "payouts_epoch_confirmed", "redis_up")
        )

    assert names() == (0, 1, 1)
    redis_state().set(PAUSE_KEY, 1)
    assert names() == (1, 1, 1)
    redis_state().flushdb()
    assert names() == (1, 0, 1)


@pytest.fixture
def one_source(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A source of its own that says the rows of a list, or raises what is in it."""
    said: list[Any] = [(1,)]

    def read() -> list[Any]:
        if isinstance(said[0], Exception):
            raise said[0]
        return said

    others = {"disk": next(one for one in all_sources() if one.name == "disk")}
    ours = {"one": Source("one", {"a_gauge": "says"}, (), 0.0, True, read)}
    monkeypatch.setattr(metrics, "_sources", ours | others)
    return said


@pytest.mark.django_db
def test_a_source_that_fails_is_not_shown_and_keeps_no_other_one_away(
    one_source: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    shown = scrape()
    assert (shown("a_gauge"), shown("state_read_failed", source="one")) == (1, 0)

    one_source[0] = ZeroDivisionError()
    with caplog.at_level(logging.ERROR):
        shown.state.refresh()
    assert shown("a_gauge") == 1
    now_s[0] = state.STALE_AFTER_S + 1

    assert (shown("a_gauge"), shown("state_read_failed", source="one")) == (None, 1)
    assert shown("state_read_failed", source="disk") == 0
    assert [record.message for record in caplog.records] == ["one cannot be read"]


def test_without_the_database_the_disk_is_shown(
    one_source: list[Any], dead_database: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="ops"):
        shown = scrape()

    assert shown("state_read_failed", source="one") == 1
    assert shown("state_read_failed", source="disk") == 0
    assert (shown("disk_size_bytes") or 0) > 0


def test_a_database_that_is_away_is_asked_once_a_round(
    dead_database: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="ops"):
        State().refresh()

    assert len(caplog.records) == 1


SINGLE_ROWS = {"chain_cursor", "pause_epoch", "payment_pauses", "dead_letters"}
"""Tables of a row, or of few."""


@pytest.mark.parametrize(
    "source", [one for one in all_sources() if one.keep_s < 60], ids=lambda one: one.name
)
def test_no_source_looks_at_a_whole_table(db: None, source: Source) -> None:
    """With no other choice PostgreSQL would: it may not, where an index can serve."""
    looked_at: set[str] = set()

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith("SELECT") and "pg_" not in sql:
            with connection.connection.cursor() as cursor:
                cursor.execute("EXPLAIN (FORMAT JSON) " + sql, params)
                (plan,) = cursor.fetchone()
                looked_at.update(whole_tables(plan[0]["Plan"]))
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with connection.execute_wrapper(explain):
        list(source.read())

    assert looked_at - SINGLE_ROWS == set()


def whole_tables(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from whole_tables(part)
