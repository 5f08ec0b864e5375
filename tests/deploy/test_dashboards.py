"""Each panel asks for what is shown, in words that Prometheus understands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from deploy.grafana.model import Dashboard, Panel
from deploy.grafana.pages import DASHBOARDS
from deploy.prometheus.promql import grouped, selected
from deploy.prometheus.trial import all_rules
from deploy.rendered import HERE
from ops.metrics.manual import catalogue
from tests.deploy.promtool import promtool
from tests.deploy.rules import shown

PANELS = [
    pytest.param(panel, id=f"{dashboard.title} {row.title} {panel.title}")
    for dashboard in DASHBOARDS
    for row in dashboard.rows
    for panel in row.panels
]


def expressions() -> list[str]:
    return [q.expression for d in DASHBOARDS for r in d.rows for p in r.panels for q in p.queries]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_what_is_shown(panel: Panel) -> None:
    known = shown()

    for query in panel.queries:
        labels: set[str] = set()
        for name, matched in selected(query.expression):
            assert name in known
            assert matched <= known[name]
            labels |= known[name]
        assert grouped(query.expression) <= labels
        assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels


def test_what_we_measure_is_to_be_seen_or_alerted_on() -> None:
    """A metric that nobody looks at is none."""
    rules = [rule["expr"] for rule in all_rules()]
    used = {name for each in [*expressions(), *rules] for name, _ in selected(each)}

    ours = [metric for metric in catalogue() if metric.section != "Of libraries"]
    assert {metric.name for metric in ours if not used & set(metric.series)} == set()


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": each} for n, each in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    assert f"{len(rules)} rules found" in promtool("check", "rules", path)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.title)
def test_grafana_gets_what_it_can_load(dashboard: Dashboard) -> None:
    text = (HERE / "grafana" / "dashboards" / f"{dashboard.title.lower()}.json").read_text()
    loaded = json.loads(text)

    assert (loaded["uid"], loaded["title"]) == (dashboard.uid, dashboard.title)
    places = [panel["gridPos"] for panel in loaded["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    ids = [panel["id"] for panel in loaded["panels"]]
    assert len(ids) == len(set(ids))


def test_the_dashboards_ask_the_datasource_that_is_provisioned() -> None:
    provisioned = yaml.safe_load(
        (HERE / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    [datasource] = provisioned["datasources"]

    for dashboard in DASHBOARDS:
        path = HERE / "grafana" / "dashboards" / f"{dashboard.title.lower()}.json"
        panels = json.loads(path.read_text())["panels"]
        asked = {panel["datasource"]["uid"] for panel in panels if "datasource" in panel}
        assert asked == {datasource["uid"]}
