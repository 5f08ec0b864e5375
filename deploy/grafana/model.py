"""Dashboards as data, and Grafana's JSON of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
_COLUMNS = 24


@dataclass(frozen=True)
class Query:
    """An expression, and what its lines are called: labels stand in {{braces}}."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """Lines over time (timeseries), or the present value alone (stat).

    `unit` is one of Grafana's. A stat turns red at `red_above`, or below `red_below`. `says` is
    shown where one points at the panel.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    red_above: float | None = None
    red_below: float | None = None
    says: str = ""

    @property
    def height(self) -> int:
        """In Grafana's units."""
        return 4 if self.kind == "stat" else 8


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A page; its `uid` is its address."""

    uid: str
    title: str
    rows: tuple[Row, ...]


def lines(title: str, *queries: tuple[str, str], unit: str = "short", width: int = 8) -> Panel:
    """Return a panel of lines, each given as expression and legend."""
    return Panel(title, tuple(Query(*query) for query in queries), unit, width=width)


def stat(
    title: str,
    expression: str,
    *,
    unit: str = "short",
    red_above: float | None = None,
    red_below: float | None = None,
    says: str = "",
) -> Panel:
    """Return a panel of one present value."""
    return Panel(title, (Query(expression),), unit, "stat", 4, red_above, red_below, says)


def render(dashboard: Dashboard) -> str:
    """Return the JSON that Grafana loads, a panel a line."""
    content = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["advertmarket"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
    }
    head = json.dumps(content, indent=1, ensure_ascii=False)
    panels = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in _panels(dashboard))
    return f'{head[:-2]},\n "panels": [\n{panels}\n ]\n}}\n'


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    ids, y = itertools.count(1), 0
    for row in dashboard.rows:
        yield {
            "id": next(ids),
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
            "panels": [],
        }
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                x, y, height = 0, y + height, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield {"id": next(ids), "gridPos": place, **_panel(panel)}
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": DATASOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, **_thresholds(panel)},
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        if panel.kind == "timeseries"
        else {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
            }
            for number, query in enumerate(panel.queries)
        ],
    }


def _thresholds(panel: Panel) -> dict[str, Any]:
    if panel.kind != "stat":
        return {}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    return {"thresholds": {"mode": "absolute", "steps": steps}}
