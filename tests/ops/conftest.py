"""What surrounds the product, and is well: a TON Center, a Bot API, consumers that live."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.utils import timezone
from pytest_django import Settings

from advertmarket.messaging import consumer, heartbeat, kafka
from payments.models import ChainCursor
from payments.ton import client
from tests.database import Clone
from tests.local_telegram import close_bot
from tests.ops.bot_api import webhook
from tests.payments.server import Answer as Says
from tests.payments.server import Server


@pytest.fixture(autouse=True)
def new_clients() -> Iterator[None]:
    """The clients keep their addresses."""
    forget_clients()
    yield
    forget_clients()


def forget_clients() -> None:
    kafka._asking_client.cache_clear()
    client.hurried.cache_clear()
    close_bot()


@pytest.fixture
def ton_center(settings: Settings) -> Iterator[Server]:
    """A TON Center whose last block is of now."""
    server = Server()
    settings.TON_API_URL = server.url
    block = {"seqno": 41, "gen_utime": str(int(time.time()))}
    server.answers = [Says({"last": block})]
    yield server
    server.stop()


@pytest.fixture
def bot_api(settings: Settings) -> Iterator[Server]:
    """A Bot API that reaches our webhook."""
    server = Server()
    settings.TELEGRAM_API_URL = server.url
    server.answers = [Says({"ok": True, "result": webhook()})]
    yield server
    server.stop()


@pytest.fixture
def consumers(committed_db: Clone) -> None:
    """Every group has a consumer that lives, and the chain is read."""
    for group in consumer.groups():
        heartbeat.beat(group, status="running", lag=2, last_message_at=None, at=timezone.now())
    now = timezone.now()
    ChainCursor.objects.create(seqno=40, head_seqno=41, block_at=now, read_at=now)
