"""The stand-in as a process: its journal, its end, its page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sandbox.telegram.control import Telegram
from sandbox.telegram.server import DEFAULT_TOKEN, TelegramServer
from tests.sandbox.telegram.conftest import ANNA, Webhook
from tests.waiting import wait_until


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command and give it with the address that it prints; kill it at the end."""
    command = [sys.executable, "-m", "sandbox.telegram", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            word, url = process.stdout.readline().split()
            assert word == "ready"
            yield process, url
        finally:
            process.kill()


def test_everything_survives_sigkill(tmp_path: Path, webhook: Webhook) -> None:
    journal = str(tmp_path / "journal")
    with running("--journal", journal, "--token", "42:secret") as (process, url):
        people = Telegram(url)
        people.create_user(ANNA, "Anna")
        people.start(ANNA)
        channel = people.create_channel("News", creator_id=ANNA)
        people.add_bot(channel)
        api = f"{url}/bot42:secret"
        sent = httpx.post(f"{api}/sendPhoto", data={"chat_id": str(channel)}, files={"photo": b"x"})
        photo = sent.raise_for_status().json()["result"]
        commands = {"commands": '[{"command": "start", "description": "Begin"}]'}
        httpx.post(f"{api}/setMyCommands", data=commands).raise_for_status()
        before = people.state()
        people.close()
        process.kill()
        process.wait(10)
    with (
        running("--journal", journal, "--token", "42:secret") as (_, url),
        Telegram(url) as people,
    ):
        api = f"{url}/bot42:secret"
        assert people.state() == before
        forward = httpx.post(
            f"{api}/forwardMessage",
            data={"chat_id": str(ANNA), "from_chat_id": str(channel), "message_id": "1"},
        ).raise_for_status()
        again = forward.json()["result"]
        assert again["photo"][0]["file_unique_id"] == photo["photo"][0]["file_unique_id"]
        assert again["message_id"] == 2
        httpx.post(f"{api}/setWebhook", data={"url": webhook.url}).raise_for_status()
        kinds = {list(webhook.next())[1] for _ in range(2)}
        assert kinds == {"message", "my_chat_member"}


def test_torn_last_line_is_left_out(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    for name in ("Anna", "Boris"):
        with running("--journal", str(journal)) as (process, url), Telegram(url) as people:
            people.create_user(ANNA, name)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        with journal.open("ab") as file:
            file.write(b'{"people": {"10')
    with running("--journal", str(journal)) as (_, url), Telegram(url) as people:
        assert [user["first_name"] for user in people.state()["users"]] == ["Boris"]


def test_sigterm_ends_it_with_updates_pending() -> None:
    with running() as (process, url), Telegram(url) as people:
        people.create_user(ANNA, "Anna")
        hook = {"url": "http://127.0.0.1:9/"}
        httpx.post(f"{url}/bot{DEFAULT_TOKEN}/setWebhook", data=hook).raise_for_status()
        people.start(ANNA)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_it_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-m', 'sandbox.telegram']); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline().startswith("ready")
        parent.kill()

    def gone() -> bool:
        stat = Path(f"/proc/{child}/stat")
        return not stat.exists() or ") Z " in stat.read_text()

    try:
        wait_until(gone, what="the child's end")
    finally:
        if not gone():
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")],
)
def test_page_is_served(server: TelegramServer, path: str, content_type: str) -> None:
    answer = httpx.get(server.url + path).raise_for_status()
    assert answer.headers["Content-Type"].startswith(content_type)


def test_page_never_shows_the_token(server: TelegramServer, people: Telegram) -> None:
    assert server.world.token not in httpx.post(f"{server.url}/sim/overview").text
