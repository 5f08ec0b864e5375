"""A Telegram of one's own per test, its people, and a stranger's client of the Bot API."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest
import telegram

from sandbox.telegram.control import Telegram
from sandbox.telegram.server import TelegramServer, serving

T = TypeVar("T")
ANNA = 1001  # has started the bot
OLEG = 1002  # runs the channel, has started the bot
IVAN = 1003  # has not started the bot


class Stranger:
    """python-telegram-bot's client, called from synchronous tests."""

    def __init__(self, server: TelegramServer, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.bot = telegram.Bot(
            server.world.token,
            base_url=f"{server.url}/bot",
            base_file_url=f"{server.url}/file/bot",
        )
        self.run(self.bot.initialize())

    def run(self, call: Awaitable[T]) -> T:
        """Wait for what a method of the client returns."""

        async def awaited() -> T:
            return await call

        return self._loop.run_until_complete(awaited())

    def refused(self, call: Awaitable[Any]) -> str:
        """Return the kind and the text of the error that the call raises."""
        with pytest.raises(telegram.error.TelegramError) as caught:
            self.run(call)
        return f"{type(caught.value).__name__}: {caught.value.message}"


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with serving(retry_s=0.02) as server:
        yield server


@pytest.fixture
def people(server: TelegramServer) -> Iterator[Telegram]:
    with Telegram(server.url) as people:
        people.create_user(ANNA, "Anna", username="anna", language_code="ru", started=True)
        people.create_user(OLEG, "Oleg", username="oleg", language_code="en", started=True)
        people.create_user(IVAN, "Ivan")
        yield people


@pytest.fixture
def stranger(
    server: TelegramServer, people: Telegram, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stranger]:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    loop = asyncio.new_event_loop()
    stranger = Stranger(server, loop)
    yield stranger
    stranger.run(stranger.bot.shutdown())
    stranger.run(asyncio.sleep(0))  # closed transports let go of their sockets
    loop.close()


@pytest.fixture
def bot(stranger: Stranger) -> telegram.Bot:
    return stranger.bot


@pytest.fixture
def channel(people: Telegram) -> int:
    """A public channel of Oleg's where the bot may post and edit."""
    chat_id = people.create_channel("News", creator_id=OLEG, username="news", subscribers=500)
    people.add_bot(chat_id)
    return chat_id


class Webhook(ThreadingHTTPServer):
    """A receiver of updates that answers what it is told to, by default 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _WebhookHandler)
        self.received: queue.Queue[dict[str, Any]] = queue.Queue()
        self.secrets: list[str | None] = []
        self.status: Callable[[dict[str, Any]], int] = lambda _update: 200
        self.retry_after = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def next(self, timeout_s: float = 10) -> dict[str, Any]:
        """Return the next update that came, whatever was answered to it."""
        return self.received.get(timeout=timeout_s)


class _WebhookHandler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        update = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.status(update)
        self.server.secrets.append(self.headers["X-Telegram-Bot-Api-Secret-Token"])
        self.send_response(status)
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "0")
        self.server.received.put(update)  # before the answer, which lets the chat's next one come
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        thread = threading.Thread(target=webhook.serve_forever, args=(0.02,))
        thread.start()
        yield webhook
        webhook.shutdown()
        thread.join()
