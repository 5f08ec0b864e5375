"""The web role's processes count together: into files of one folder, which their parent shows.

prometheus_client decides when it is imported whether to count like this, so `manage.py` makes the
folder before anything else, and removes it with the server.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def is_counted_together() -> bool:
    """Return whether this process is one of several that count together."""
    return _FOLDER in os.environ


def gone() -> Iterable[int]:
    """Return the ids of the processes that counted and have ended."""
    pids = {int(file.stem.rpartition("_")[2]) for file in Path(os.environ[_FOLDER]).glob("*.db")}
    return [pid for pid in pids if not _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
