"""Processes that fork others quickly: they have imported once what all their children need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any


class Mother:
    """`python -m module`: each line (JSON) on its standard input is an order, and has an answer."""

    def __init__(self, module: str, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, order: Any) -> Any:
        """Give an order and return its answer."""
        print(json.dumps(order), file=_stream(self._process.stdin), flush=True)
        return json.loads(_stream(self._process.stdout).readline())

    def stop(self) -> None:
        """End the process."""
        _stream(self._process.stdin).close()
        self._process.wait(10)
        _stream(self._process.stdout).close()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
