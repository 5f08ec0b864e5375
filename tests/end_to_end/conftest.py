"""The whole product on services that keep their data, so that any process may be killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from sandbox.demo.opening import COMPRESSED, start
from sandbox.demo.stack import Stack
from sandbox.scratch import scratch_dir


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Every process of the product, running; state survives the death of any of them."""
    root = scratch_dir()
    try:
        with Stack(root, ephemeral=False, settings=COMPRESSED) as running:
            start(running)
            yield running
    finally:
        shutil.rmtree(root, ignore_errors=True)
