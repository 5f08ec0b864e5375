"""What a check looks with: it asks the database, and whoever reads its report can ask again."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ops.query import record, render, rows


@dataclass(frozen=True)
class Scope:
    """How much a look takes as given. By default nothing: it asks for everything.

    `after`: postings up to this id are taken from the checkpoint; `after_block`: so are chain
    transactions up to this masterchain block; `posted_after`: and journals up to this time.
    `after_seal`: and the audit log up to this block.
    """

    after: int = 0
    after_block: int = 0
    posted_after: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    after_seal: int = 0


EVERYTHING = Scope()
_OF_THE_CHECKPOINT = ("after", "after_block", "posted_after")


class Look:
    """One look of one check, at one moment.

    Every query may use the scope's fields, and `now`, as parameters. `asked` holds the queries as
    one can paste them into psql: they ask for everything, whatever the scope, so that a newer
    checkpoint does not change what they mean.
    `since`: from where on they asked, a posting or a block of the audit log; 0 is the beginning.
    """

    def __init__(
        self,
        *,
        at: dt.datetime,
        scope: Scope = EVERYTHING,
        told: Any = None,
        with_figures: bool = True,
    ) -> None:
        self.at = at
        self._told = told
        self.figures: dict[str, Any] = {}
        self.asked: list[str] = []
        self.relies_on_checkpoint = False
        self.since = 0
        self.scope = scope
        self._with_figures = with_figures

    @property
    def told(self) -> Any:
        """What the check's `ask` was answered; or the exception that it met is raised."""
        if isinstance(self._told, Exception):
            raise self._told
        return self._told

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """Return every row of a query."""
        return rows(query, self._note(query, parameters))

    def figure(self, query: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Report the columns of a query's only row, by their names, to an auditor."""
        if self._with_figures:
            self.figures |= record(query, self._note(query, parameters))

    def _note(self, query: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        others = {"now": self.at, **(given or {})}
        if any(f"%({name})s" in query for name in _OF_THE_CHECKPOINT):
            self.relies_on_checkpoint = True
            self.since = self.scope.after
        if "%(after_seal)s" in query:
            self.since = self.scope.after_seal
        text = textwrap.dedent(query.strip("\n")).rstrip()
        self.asked.append(render(text, asdict(EVERYTHING) | others) + ";")
        return asdict(self.scope) | others
