"""What Telegram remembers: tables of records in memory, and the file that outlives the process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Record(Protocol):
    """A dataclass of JSON values that knows its key."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> str:
        """What tells it from the others of its table."""
        ...


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """Records of one kind by their keys, in the order in which they came."""

    def __init__(self, name: str, load: Callable[..., R]) -> None:
        """Make an empty table; `load` makes a record from its fields."""
        self.name = name
        self.changed: dict[str, R | None] = {}
        self._load = load
        self._records: dict[str, R] = {}

    def get(self, key: object) -> R | None:
        """Return the record with this key."""
        return self._records.get(str(key))

    def put(self, record: R) -> R:
        """Add the record, or note that it has changed; return it."""
        self._records[record.key] = self.changed[record.key] = record
        return record

    def drop(self, record: R) -> None:
        """Forget the record; nothing happens if it is already gone."""
        if self._records.pop(record.key, None):
            self.changed[record.key] = None

    def restore(self, key: str, fields: dict[str, Any] | None) -> None:
        """Take back what the file says about one key."""
        if fields is not None:
            self.put(self._load(**fields))
        elif record := self._records.pop(key, None):
            self.changed.pop(record.key)

    def __iter__(self) -> Iterator[R]:
        """Iterate over a copy, so that records may be added and dropped meanwhile."""
        return iter(list(self._records.values()))

    def newest(self) -> Iterator[R]:
        """Iterate from the last record backwards; nothing may be added or dropped meanwhile."""
        return reversed(self._records.values())

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)


class Journal:
    """An append-only file of JSON lines; one line holds all changes of one operation.

    A line reaches the operating system with one write, so that SIGKILL loses nothing that was
    answered; a torn last line (the machine went down) is left out at the next start.
    """

    def __init__(self, path: Path | None, tables: list[Table[Any]]) -> None:
        """Read the file into the tables, and rewrite it as what it comes to.

        Without a path nothing is kept.
        """
        self._tables = {table.name: table for table in tables}
        self._file = None
        if path is not None:
            self._replay(path)
            rewritten = path.with_suffix(".new")
            self._file = rewritten.open("wb", buffering=0)
            self.flush()
            rewritten.replace(path)

    def flush(self) -> bool:
        """Write down what has changed since the last call; return whether anything had."""
        changes = {
            table.name: {
                key: None if record is None else asdict(record)
                for key, record in table.changed.items()
            }
            for table in self._tables.values()
            if table.changed
        }
        for table in self._tables.values():
            table.changed.clear()
        if changes and self._file is not None:
            line = json.dumps(changes, ensure_ascii=False, separators=(",", ":"))
            self._file.write(line.encode() + b"\n")
        return bool(changes)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _replay(self, path: Path) -> None:
        path.touch()
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                for name, records in json.loads(line).items():
                    for key, fields in records.items():
                        self._tables[name].restore(key, fields)
