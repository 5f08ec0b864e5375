"""What is wrong with the environment is said in one line that names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from advertmarket.environment import Environment

HOUSE = Path(__file__).parents[2]


def environment(required: frozenset[str] = frozenset(), **variables: str) -> Environment:
    return Environment(variables, required=required)


@pytest.mark.parametrize(("given", "chat_id"), [("-1001234567890", -1001234567890), ("", 0)])
def test_a_chat_is_a_number(given: str, chat_id: int) -> None:
    assert environment(CHAT=given).chat_id("CHAT") == chat_id


@pytest.mark.parametrize("given", ["@channel", "-", "1.5", "١", "--1", "1 2", "9" * 17])
def test_a_chat_that_is_no_number_is_refused(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        environment(CHAT=given).chat_id("CHAT", hint="ask Ann")

    assert refused.value.code == 78
    assert capsys.readouterr().err == (
        "advertmarket cannot start: CHAT must be the number of a chat, such as -1001234567890"
        " (ask Ann)\n"
    )


def test_a_chat_that_the_role_needs_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        environment(frozenset({"CHAT"})).chat_id("CHAT")

    assert capsys.readouterr().err == "advertmarket cannot start: CHAT is missing\n"


def test_each_of_the_old_secrets_is_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert environment(OLD="12345678, abcdefgh").secrets("OLD", min_bytes=8) == [
        "12345678",
        "abcdefgh",
    ]
    assert environment().secrets("OLD", min_bytes=8) == []

    with pytest.raises(SystemExit):
        environment(OLD="12345678, short").secrets("OLD", min_bytes=8)
    assert capsys.readouterr().err == "advertmarket cannot start: OLD is shorter than 8 bytes\n"


def test_the_password_of_redis_may_have_any_letter() -> None:
    password = "p@ss/w:rd#1?%"
    code = "from advertmarket import settings; print(settings.REDIS_STATE_URL)"

    url = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HOUSE,
        env={"PATH": os.environ["PATH"], "PROCESS_ROLE": "build", "REDISCLI_AUTH": password},
        text=True,
        capture_output=True,
        check=True,
    ).stdout.strip()

    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path) == ("redis", 6379, "/0")
    assert unquote(parts.password or "") == password


@pytest.mark.parametrize("given", ["", " ", "https://hooks.example/a?b=c", "http://127.0.0.1:1/x"])
def test_an_address_may_be_left_out(given: str) -> None:
    assert environment(HOOK=given).optional_url("HOOK") == given.strip()


def test_an_address_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="78"):
        environment(HOOK="hooks.example").optional_url("HOOK")

    problem = "HOOK must start with http:// or https://"
    assert capsys.readouterr().err == f"advertmarket cannot start: {problem}\n"


def test_mail_without_a_server_is_refused() -> None:
    refused = subprocess.run(
        [sys.executable, "-c", "from advertmarket import settings"],
        cwd=HOUSE,
        env={"PATH": os.environ["PATH"], "PROCESS_ROLE": "build", "ALERT_EMAIL_TO": "a@b.example"},
        text=True,
        capture_output=True,
        check=False,
    )

    assert refused.returncode == 78
    assert refused.stderr == (
        "advertmarket cannot start: ALERT_SMTP_HOST is missing, and ALERT_EMAIL_TO wants mail\n"
    )


def test_a_folder_is_one_that_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert environment(DISK="").folder("DISK", str(tmp_path)) == str(tmp_path)

    with pytest.raises(SystemExit, match="78"):
        environment(DISK=str(tmp_path / "none")).folder("DISK", str(tmp_path))

    problem = "DISK must be a folder that there is"
    assert capsys.readouterr().err == f"advertmarket cannot start: {problem}\n"
