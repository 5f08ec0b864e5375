"""Logs: one JSON object a line, with its correlation; secrets never, addresses masked."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from advertmarket import correlation
from advertmarket.logging import Redaction, logging_config
from advertmarket.ton_address import friendly_address

SECRETS = ["a-jwt-secret-of-32-bytes-or-more!", 'quoted "secret" \\ value', "short"]
RAW = "0:" + "ab" * 32


class Lines(io.StringIO):
    """What was logged, parsed."""

    @property
    def all(self) -> list[dict[str, Any]]:
        """Every line, which must be one JSON object."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The last line."""
        return self.all[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The process's logging, as configured for a role, into memory."""
    stream = Lines()
    config = logging_config(role="worker", level="INFO", secrets=SECRETS)
    config["handlers"]["stderr"]["stream"] = stream
    before = list(logging.root.handlers), logging.root.level
    logging.config.dictConfig(config)
    yield stream
    logging.config.dictConfig(settings.LOGGING)
    logging.root.handlers[:], logging.root.level = before


def test_a_line_says_what_where_when_and_for_whom(lines: Lines) -> None:
    with correlation.bind(uuid.uuid4()) as correlation_id:
        logging.getLogger("payments").info("paid %s", 5, extra={"deal_id": "d1", "amount_nano": 7})

    at = lines.last.pop("at")
    assert lines.last == {
        "event": "paid 5",
        "level": "info",
        "logger": "payments",
        "at": at,
        "deal_id": "d1",
        "amount_nano": 7,
        "role": "worker",
        "correlation_id": str(correlation_id),
    }
    assert at.endswith("Z")


def test_a_traceback_is_in_the_line_without_the_values_of_variables(lines: Lines) -> None:
    def fail() -> None:
        local_value = "not-for-" + "logs"
        raise ValueError(len(local_value))

    try:
        fail()
    except ValueError:
        logging.getLogger("payments").exception("broken")

    assert "ValueError: 12" in lines.last["exception"]
    assert "not-for-logs" not in lines.getvalue()


def test_line_breaks_stay_within_the_line(lines: Lines) -> None:
    logging.getLogger("x").info('one\ntwo "three"\r\n{"event": "forged"}')

    assert len(lines.all) == 1
    assert lines.last["event"] == 'one\ntwo "three"\r\n{"event": "forged"}'


@pytest.mark.parametrize("secret", SECRETS[:2])
def test_a_secret_is_taken_out_wherever_it_is(lines: Lines, secret: str) -> None:
    logger = logging.getLogger("x")
    logger.info("in the text: %s.", secret)
    logger.info("in a field", extra={"field": {"deep": [secret]}})
    logger.error("in a traceback", exc_info=ValueError(secret))

    assert lines.getvalue().count("[secret]") == 3
    assert all(secret not in json.dumps(line, ensure_ascii=False) for line in lines.all)
    assert all(secret not in str(value) for line in lines.all for value in line.values())


def test_what_looks_like_a_token_is_taken_out(lines: Lines) -> None:
    logging.getLogger("x").info(
        "POST https://api.telegram.org/bot7000000001:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8/getMe "
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl hash=%s",
        "0a" * 32,
    )

    assert lines.last["event"] == (
        "POST https://api.telegram.org/bot[bot token]/getMe Bearer [token] hash=[hash]"
    )


@pytest.mark.parametrize("network", ["mainnet", "testnet"])
@pytest.mark.parametrize("bounceable", [True, False])
def test_addresses_are_masked_and_amounts_and_hashes_are_not(
    lines: Lines, network: Any, bounceable: bool
) -> None:
    friendly = friendly_address(RAW, network=network, bounceable=bounceable)

    logging.getLogger("x").info("to %s = %s, 1500000000 nano, tx %s", friendly, RAW, "cd" * 32)

    assert lines.last["event"] == (
        f"to {friendly[:6]}…{friendly[-4:]} = 0:abab…abab, 1500000000 nano, tx {'cd' * 32}"
    )


@given(around=st.tuples(st.text(max_size=30), st.text(max_size=30)), secret=st.text(min_size=8))
def test_no_secret_survives_in_any_text(around: tuple[str, str], secret: str) -> None:
    line = json.dumps({"event": secret.join(around)}, ensure_ascii=False)

    redacted = Redaction([secret])(None, "", line)

    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in redacted.replace("[secret]", "")


@pytest.mark.django_db
def test_an_answered_request_is_one_line_with_its_correlation(lines: Lines) -> None:
    answer = Client().get("/api/v1/profile?token=private")

    (line,) = lines.all
    assert (line["event"], line["method"], line["route"], line["status"]) == (
        "request answered",
        "GET",
        "api/v1/profile",
        401,
    )
    assert line["correlation_id"] == answer["X-Correlation-Id"]
    assert "private" not in lines.getvalue()


def test_probes_that_succeed_are_not_logged(lines: Lines) -> None:
    Client().get("/actuator/health/liveness")

    assert lines.all == []


def test_each_secret_of_the_settings_is_known_to_the_logs() -> None:
    redaction = settings.LOGGING["formatters"]["json"]["processors"][-1]
    named = [
        settings.SECRET_KEY,
        settings.JWT_SECRET,
        settings.TELEGRAM_BOT_TOKEN,
        settings.TELEGRAM_WEBHOOK_SECRET,
        settings.TON_API_KEY,
        settings.TON_WALLET_MNEMONIC,
    ]

    assert [redaction(None, "", secret) for secret in named] == ["[secret]"] * len(named)
