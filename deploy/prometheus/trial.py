"""Whether alerts fire at given figures: for tests, and for drills on what was scraped."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

HOUSE = Path(__file__).resolve().parents[2]
FOLDER = HOUSE / "deploy" / "prometheus" / "rules"
_NOT_THERE = 77


class NoPromtool(Exception):
    """There is no promtool here, and none could be had: nothing was tried."""


class Refused(Exception):
    """Promtool says no; the message is what it printed."""


def promtool(*arguments: str | Path, given: str = "") -> str:
    """Run promtool, give it a text to read, and return what it printed.

    Raises:
        NoPromtool: there is none.
        Refused: it found fault.
    """
    ran = subprocess.run(  # noqa: S603 - our own script
        [HOUSE / ".ci/promtool", *arguments],
        cwd=HOUSE,
        input=given,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ran.returncode == _NOT_THERE:
        raise NoPromtool(ran.stdout.strip())
    if ran.returncode:
        raise Refused(ran.stdout)
    return ran.stdout


def all_rules() -> Iterator[dict[str, Any]]:
    """Yield every rule of every file."""
    for path in sorted(FOLDER.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


@functools.cache
def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert, by name."""
    found = [rule for rule in all_rules() if "alert" in rule]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


def one_test(
    alert: str,
    series: Mapping[str, str],
    expected: Sequence[Mapping[str, str]],
    *,
    minutes: int = 90,
) -> dict[str, Any]:
    """Return promtool's test that after so many minutes the alert fires with these labels each.

    `series` has the values of time series a minute apart, in promtool's notation.
    """
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": text} for name, text in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": alert,
                "exp_alerts": [as_sent(alert, labels) for labels in expected],
            }
        ],
    }


def as_sent(alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the alert as it is sent, its texts filled in."""
    rule = alerts()[alert]
    texts = {
        name: re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)
        for name, text in rule["annotations"].items()
    }
    return {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": texts}


def write_tests_of_one(folder: Path, alert: str, tests: list[dict[str, Any]]) -> Path:
    """Write a file of tests of one alert, with that alone for a rule: all would take minutes."""
    rules, path = folder / f"{alert}.rules.yml", folder / f"{alert}.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": alert, "rules": [alerts()[alert]]}]}))
    path.write_text(yaml.safe_dump(file_of(tests, [rules], every=1), sort_keys=False))
    return path


def file_of(tests: list[dict[str, Any]], rules: list[Path], *, every: int) -> dict[str, Any]:
    """Return a file of tests of these rules, which are evaluated every so many minutes.

    Without an order of its own promtool takes the groups at random, so that an alert may look
    before what it looks at is recorded.
    """
    groups = [group for path in rules for group in yaml.safe_load(path.read_text())["groups"]]
    return {
        "rule_files": list(map(str, rules)),
        "evaluation_interval": f"{every}m",
        "group_eval_order": [group["name"] for group in groups],
        "tests": tests,
    }
