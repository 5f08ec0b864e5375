"""What a consumer says of itself in Redis, for those who watch."""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import redis

from advertmarket.state import redis_state

from . import consumer

logger = logging.getLogger(__name__)

INTERVAL_S = 10
TTL_S = 30

Status = Literal["running", "retrying", "stopped"]


def instance() -> str:
    """Return this process's name among the instances of a group."""
    return f"{socket.gethostname()}-{os.getpid()}"


def beat(
    group: str, *, status: Status, lag: int, last_message_at: datetime | None, at: datetime
) -> None:
    """Write `worker:{group}:{instance}`; it vanishes 30 s after the last beat.

    A Redis that is away is logged: heartbeats are for watching, work goes on without them.
    """
    value = {
        "timestamp": at.isoformat(),
        "status": status,
        "lag": lag,
        "last_message_at": last_message_at.isoformat() if last_message_at else None,
    }
    try:
        redis_state().set(_key(group), json.dumps(value), ex=TTL_S)
    except redis.RedisError as error:
        logger.warning("no heartbeat of %s: %s", group, error)


@dataclass(frozen=True)
class Beat:
    """What one instance of a group said last."""

    status: Status
    lag: int
    at: datetime
    last_message_at: datetime | None


@dataclass(frozen=True)
class Group:
    """What a consumer group's instances said in the last 30 s; of one that is silent, nothing."""

    name: str
    instances: tuple[Beat, ...]

    @property
    def states(self) -> set[Status]:
        """The states that its instances are in."""
        return {instance.status for instance in self.instances}

    @property
    def lag(self) -> int:
        """How many records wait for it."""
        return sum(instance.lag for instance in self.instances)


def groups() -> list[Group]:
    """Return every consumer group that has a handler, by name.

    Raises:
        redis.RedisError: Redis is away.
    """
    return [Group(name, tuple(_beats(name))) for name in consumer.groups()]


def _beats(group: str) -> list[Beat]:
    state = redis_state()
    keys = list(state.scan_iter(match=f"worker:{group}:*", count=1000))
    return [_read(str(value)) for value in state.mget(keys) if value] if keys else []


def withdraw(group: str) -> None:
    """Remove the heartbeat: this instance ends in good order."""
    try:
        redis_state().delete(_key(group))
    except redis.RedisError as error:
        logger.warning("the heartbeat of %s stays until it expires: %s", group, error)


def _read(value: str) -> Beat:
    said = json.loads(value)
    last = said["last_message_at"]
    return Beat(
        status=said["status"],
        lag=said["lag"],
        at=datetime.fromisoformat(said["timestamp"]),
        last_message_at=datetime.fromisoformat(last) if last else None,
    )


def _key(group: str) -> str:
    return f"worker:{group}:{instance()}"
