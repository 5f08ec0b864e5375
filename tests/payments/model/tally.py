"""What the runs did, counted; `python -m tests.payments.model.tally` sums all processes up."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("var/money")


@dataclass
class Tally:
    """The counts of one process."""

    seeds: list[int] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    worlds: int = 0
    seconds: float = 0
    began: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] += 1

    def write(self) -> None:
        """Leave it to the summary."""
        self.seconds = time.monotonic() - self.began
        FOLDER.mkdir(parents=True, exist_ok=True)
        content = {**vars(self), "counts": dict(self.counts)}
        (FOLDER / f"{os.getpid()}.json").write_text(json.dumps(content))


def summary(tallies: list[Tally]) -> str:
    """Return what all of them did, for people."""
    counts = sum((one.counts for one in tallies), Counter[str]())
    groups: dict[str, Counter[str]] = {}
    for name, number in counts.items():
        group, _, what = name.partition(" ")
        groups.setdefault(group, Counter())[what] = number
    findings = [finding for one in tallies for finding in one.findings]
    seconds = max((one.seconds for one in tallies), default=0)
    steps = groups.get("rule", Counter()).total()
    lines = [
        f"money at random: {steps} steps in {sum(one.worlds for one in tallies)} worlds,"
        f" {len(tallies)} processes, {seconds:.0f} s",
        "seeds: " + " ".join(str(seed) for one in tallies for seed in one.seeds),
    ]
    for group, of_group in sorted(groups.items()):
        lines.append(f"{group}: {of_group.total()}")
        lines += [f"  {number:8} {what}" for what, number in sorted(of_group.items())]
    lines += [_beside(groups, findings), f"findings: {len(findings)}", *findings]
    return "\n".join(lines)


def _beside(groups: dict[str, Counter[str]], findings: list[str]) -> str:
    runs, alarms = groups.get("reconciliation", Counter()), groups.get("alarm", Counter())
    false_ones = sum("false alarm" in finding for finding in findings)
    return (
        f"beside it: {runs.total()} reconciliations, {runs['full']} of them of everything;"
        f" {alarms.total()} alarms had a cause that was planted, {false_ones} had none"
    )


def main() -> None:
    """Print the summary of what was written; fail if there is none, or a finding in it."""
    tallies = []
    for path in sorted(FOLDER.glob("*.json")):
        content = json.loads(path.read_text())
        tallies.append(Tally(**{**content, "counts": Counter(content["counts"])}))
    sys.stdout.write(summary(tallies) + "\n")
    if not tallies or any(one.findings for one in tallies):
        sys.exit(1)


if __name__ == "__main__":
    main()
