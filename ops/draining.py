"""Whether this web server is on its way out: one byte that its processes share.

The memory is mapped before the workers are forked, so that they see what the parent writes.
"""

from __future__ import annotations

import mmap

_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Tell every process of this server that it takes leave."""
    _flag[0] = 1


def is_draining() -> bool:
    """Whether the server takes leave."""
    return _flag[0] == 1
