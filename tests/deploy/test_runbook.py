"""What the runbook says of the ten failures is there to be seen, and drilled."""

from __future__ import annotations

import re

import pytest

from deploy.prometheus.trial import HOUSE, alerts
from ops.incidents.kinds import KINDS
from ops.metrics.manual import catalogue
from sandbox.drills.__main__ import DRILLS

RUNBOOK = (HOUSE / "docs/runbook.md").read_text()
METRICS = {name for metric in catalogue() for name in (metric.name, *metric.series)}
SECTIONS = re.findall(r"^### (\d+)\. (.+?)\n(.*?)(?=^### |^## )", RUNBOOK, re.MULTILINE | re.DOTALL)


def test_each_failure_has_its_drill() -> None:
    headings = [(int(number), title) for number, title, _ in SECTIONS]

    assert [(drill.number, drill.title) for drill in DRILLS] == headings


@pytest.mark.parametrize(
    ("where", "is_name", "known"),
    [
        ("alert", r"`([A-Z]\w+)`", set(alerts())),
        ("incident", r"`([a-z_]+)`", set(KINDS)),
        ("metric", r"`([a-z]+_[a-z_]+)`", METRICS),
    ],
)
def test_what_one_sees_of_it_exists(where: str, is_name: str, known: set[str]) -> None:
    rows = re.findall(rf"^\| {where} \| (.+) \|$", RUNBOOK, re.MULTILINE)
    names = {name for row in rows for name in re.findall(is_name, row)}

    assert len(rows) >= len(SECTIONS) - 1  # what does not start shows no metric
    assert names - known == set()
