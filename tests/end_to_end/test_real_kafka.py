"""One deal over a real Apache Kafka instead of the embedded broker."""

from __future__ import annotations

import os
import shutil

import pytest

from sandbox.demo.opening import COMPRESSED, start
from sandbox.demo.stack import Stack
from sandbox.scratch import scratch_dir
from tests.end_to_end.test_kills import live


@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_a_deal_over_apache_kafka() -> None:
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}
    root = scratch_dir()
    try:
        with Stack(root, ephemeral=True, settings={**COMPRESSED, **kafka}) as stack:
            start(stack)
            live(stack, lambda _number: None)
    finally:
        shutil.rmtree(root, ignore_errors=True)
