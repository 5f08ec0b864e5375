"""Rules ask for what is shown, and lead to what to do about it."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from advertmarket.messaging.topics import DEAL_EVENTS
from deploy import rendered
from deploy.prometheus.promql import grouped, selected
from deploy.prometheus.slos import API
from deploy.prometheus.trial import FOLDER, HOUSE, alerts, all_rules
from ops.health.checks import DISK_FULL_PERCENT, TOO_MANY_PENDING
from ops.incidents.detectors import books, money, queues
from ops.incidents.detectors.consumers import CRITICAL_LAG, OTHERS_CRITICAL_LAG
from ops.incidents.detectors.services import CONNECTIONS_PERCENT, DISK_FILLING_PERCENT
from ops.incidents.kinds import KINDS
from ops.metrics.manual import catalogue
from ops.metrics.state import State
from ops.stuck import STUCK_AFTER
from payments.deposits.review import REVIEW_REMINDERS
from tests.deploy.promtool import promtool
from tests.deploy.rules import shown


@pytest.mark.parametrize("path", rendered.files(), ids=lambda path: path.name)
def test_what_is_rendered_is_that_of_the_code(path: Path) -> None:
    assert path.read_text() == rendered.files()[path], "run: python -m deploy"


def test_rules_ask_for_what_is_shown() -> None:
    known = shown()

    missing = {
        (rule.get("alert") or rule["record"], name)
        for rule in all_rules()
        for name, labels in selected(rule["expr"])
        if name not in known or not labels <= known[name]
    }
    assert missing == set()


def test_rules_group_by_labels_that_are_shown() -> None:
    known = shown()

    for rule in all_rules():
        labels = {label for name, _ in selected(rule["expr"]) for label in known[name]}
        assert grouped(rule["expr"]) <= labels, rule


@pytest.mark.parametrize("alert", alerts().values(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_what_and_where_to_read_on(alert: dict[str, Any]) -> None:
    severities = {"none"} if alert["alert"] == "Watchdog" else {"P0", "P1", "P2", "P3"}

    assert alert["labels"]["severity"] in severities
    assert len(alert["annotations"]["summary"]) > 20
    document, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert document == "docs/runbook.md"
    assert anchor in anchors()


@pytest.mark.parametrize(
    "alert",
    [alert for alert in alerts().values() if "incident" in alert["labels"]],
    ids=lambda alert: alert["alert"],
)
def test_an_alert_is_as_grave_as_the_incident_of_the_same_cause(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] == KINDS[alert["labels"]["incident"]].severity


@pytest.mark.parametrize(
    ("alert", "figures"),
    [
        ("WebhookPending", [TOO_MANY_PENDING]),
        ("ConsumerLag", [OTHERS_CRITICAL_LAG, CRITICAL_LAG[DEAL_EVENTS.name]]),
        ("ConnectionsNearlyOut", [CONNECTIONS_PERCENT / 100]),
        ("DiskFilling", [DISK_FILLING_PERCENT / 100]),
        ("DiskNearlyFull", [DISK_FULL_PERCENT / 100]),
        ("OutboxWaits", [queues.STANDS_AFTER.total_seconds()]),
        ("UpdatesWait", [queues.STANDS_AFTER.total_seconds()]),
        ("ChainReaderFarBehind", [money.BEHIND_AFTER.total_seconds()]),
        ("DepositInReview", [REVIEW_REMINDERS[0].total_seconds()]),
        ("ChecksNotRun", [books.LATE_AFTER.total_seconds(), books.BUSY_FOR.total_seconds()]),
    ],
)
def test_an_alert_has_the_figures_of_the_watch(alert: str, figures: list[float]) -> None:
    asked = re.findall(r">=? ([0-9.]+)", alerts()[alert]["expr"])
    assert [float(figure) for figure in asked] == figures


def test_paused_payouts_alert_when_a_transfer_would_be_stuck() -> None:
    assert alerts()["PayoutsPaused"]["for"] == f"{STUCK_AFTER // dt.timedelta(hours=1)}h"


def anchors() -> set[str]:
    """The anchors that GitHub gives the runbook's headings."""
    headings = re.findall(r"^#+ (.+)$", (HOUSE / "docs/runbook.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_api_is_all_that_the_mini_app_calls() -> None:
    """Neither pages, nor probes, nor the webhook, which has its own metrics."""
    is_api = re.compile(API.partition('"')[2].rstrip('"'))
    views = {view for view in views_under(get_resolver()) if is_api.fullmatch(view)}

    paths = {path for path, view in routes(get_resolver()) if view in views}
    assert {path for path in paths if not path.startswith("api/v1/")} == set()
    others = {path for path, view in routes(get_resolver()) if view not in views}
    assert {path for path in others if path.startswith("api/v1/")} == {
        "api/v1/schema",
        "api/v1/docs",
        "api/v1/bot/webhook",
    }


def views_under(resolver: URLResolver) -> set[str]:
    return {view for _, view in routes(resolver)}


def routes(resolver: URLResolver, prefix: str = "") -> list[tuple[str, str]]:
    """Each path and the name under which its view is counted."""
    found = []
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            found.append((path, pattern.name or pattern.lookup_str))
        else:
            found += routes(pattern, path)
    return found


def test_what_is_shown_is_named_as_prometheus_wants_it() -> None:
    catalogue()  # loads all there is
    state = CollectorRegistry()
    state.register(State())

    text = (generate_latest(REGISTRY) + generate_latest(state)).decode()
    assert promtool("check", "metrics", given=text) == ""


def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", FOLDER.parent / "prometheus.yml")
    promtool("check", "rules", *sorted(FOLDER.glob("*.yml")))
