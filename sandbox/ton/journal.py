"""What was done to the chain, in order: replaying it makes the same chain again."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Accepted:
    """An external message entered the mempool, to be mined in block `not_before` or later."""

    boc: bytes
    not_before: int


@dataclass(frozen=True)
class Withdrawn:
    """The pending external message of this hash (hex) left the mempool."""

    message_hash: str


@dataclass(frozen=True)
class Minted:
    """The faucet sent an internal message."""

    boc: bytes


@dataclass(frozen=True)
class ClockSet:
    """The chain's clock: the system's plus an offset, or standing still."""

    offset_s: int
    frozen_at: int | None


@dataclass(frozen=True)
class Mined:
    """A block was made at this Unix time."""

    at: int


Entry = Accepted | Withdrawn | Minted | ClockSet | Mined

_KINDS: dict[str, type[Entry]] = {
    kind.__name__: kind for kind in (Accepted, Withdrawn, Minted, ClockSet, Mined)
}


class Journal:
    """A file of entries, one JSON line each; without a path nothing is kept.

    An entry is with the operating system before `append` returns: it survives the end of this
    process, however sudden, but not a power failure.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file; a last line that a SIGKILL cut short is dropped."""
        self._file = None
        self._lines: list[bytes] = []
        if path is not None:
            whole = path.read_bytes() if path.exists() else b""
            kept = whole[: whole.rfind(b"\n") + 1]
            self._lines = kept.splitlines()
            self._file = path.open("ab", buffering=0)
            self._file.truncate(len(kept))

    def replay(self) -> Iterator[Entry]:
        """Yield what earlier runs appended."""
        for line in self._lines:
            yield _decode(json.loads(line))
        self._lines = []

    def append(self, entry: Entry) -> None:
        """Keep an entry."""
        if self._file is not None:
            self._file.write(json.dumps(_encode(entry)).encode() + b"\n")


def _encode(entry: Entry) -> dict[str, Any]:
    fields = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in dataclasses.asdict(entry).items()
    }
    return {"kind": type(entry).__name__, **fields}


def _decode(line: dict[str, Any]) -> Entry:
    kind = _KINDS[line.pop("kind")]
    if "boc" in line:
        line["boc"] = base64.b64decode(line["boc"])
    return kind(**line)
