"""`create_topics` makes the broker agree with the list, and says what it changed."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from advertmarket.messaging.kafka import create_topics
from advertmarket.messaging.topics import DAY_S, Topic


@pytest.fixture
def topic() -> Topic:
    return Topic(f"test.{uuid.uuid4().hex[:12]}", partitions=2, retention_s=DAY_S)


def test_missing_topics_are_made_once(topic: Topic) -> None:
    made = [f"{topic.name}: created with 2 partitions, kept 86400 s"]
    assert create_topics([topic]) == made
    assert create_topics([topic]) == []


@pytest.mark.kafka
def test_topics_are_grown_and_never_shrunk(topic: Topic) -> None:
    create_topics([topic])
    grown = dataclasses.replace(topic, partitions=3)
    assert create_topics([grown]) == [f"{topic.name}: 2 partitions became 3"]
    assert create_topics([grown, topic]) == []


@pytest.mark.kafka
def test_a_new_retention_is_applied(topic: Topic) -> None:
    create_topics([topic])
    longer = dataclasses.replace(topic, retention_s=2 * DAY_S)
    assert create_topics([longer]) == [f"{topic.name}: retention.ms 86400000 became 172800000"]
    assert create_topics([longer]) == []
