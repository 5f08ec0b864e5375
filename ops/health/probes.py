"""Checks beside each other, each with the same limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ops.beside import Beside, Silent
from ops.own_connection import on_own_connection

LIMIT_S = 2.0
"""So long may a check take, and so long is it waited for."""

Details = dict[str, object]
Check = Callable[[], Details]


class Unwell(Exception):
    """It answers, and is not well; `details` say more."""

    def __init__(self, problem: str, details: Details) -> None:
        super().__init__(problem)
        self.details = details


@dataclass(frozen=True)
class Answer:
    """What a check found; `problem` is empty when all is well."""

    problem: str = ""
    details: Details = field(default_factory=dict)


class Probes:
    """Runs checks by their names."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._jobs: Beside[str, Details] = Beside()

    def ask(self, names: Sequence[str], *, limit_s: float = LIMIT_S) -> dict[str, Answer]:
        """Return what each check of `names` says, after at most `limit_s`."""
        jobs = {name: on_own_connection(self._checks[name], limit_s=LIMIT_S) for name in names}
        found = self._jobs.all(jobs, limit_s=limit_s)
        return {name: _answer(outcome) for name, outcome in found.items()}

    def failures(self, names: Sequence[str]) -> dict[str, str]:
        """Return the problems of those of `names` that have one, after at most 2 s."""
        answers = self.ask(names)
        return {name: answer.problem for name, answer in answers.items() if answer.problem}


def _answer(outcome: Details | Exception) -> Answer:
    if isinstance(outcome, Unwell):
        return Answer(str(outcome), outcome.details)
    if isinstance(outcome, Silent):
        return Answer(str(outcome))
    if isinstance(outcome, Exception):
        return Answer(f"{type(outcome).__name__}: {outcome}")
    return Answer(details=outcome)
