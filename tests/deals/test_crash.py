"""A publisher is killed, by SIGKILL, at a line; the next one goes on: no ad is posted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection

from deals.delivery import records
from deals.delivery.publisher import LEASE, Publisher
from deals.models import PostAttempt
from tests.payments.lines import Line, line_of

from .market import LiveMarket, later, nothing_changes

pytestmark = pytest.mark.thorough

BEFORE_THE_ATTEMPT = line_of(Publisher._post_part, "with transaction.atomic()")
BEFORE_THE_CALL = line_of(Publisher._post_part, "messages = calls.send(")
BEFORE_THE_RECORD = line_of(Publisher._post_part, "self._record_posted(")
IN_THE_RECORD = line_of(records._publish, "PlannedCheck.objects.bulk_create(")
AFTER_THE_RECORD = line_of(Publisher._post_part, "return True")


def die_at(line: Line) -> None:
    """Let a process publish, and kill it at the line."""
    child = subprocess.run(
        [
            *(sys.executable, "-m", "tests.deals.dying_publisher"),
            *(line.file, str(line.number), str(line.hit)),
        ],
        env={
            **os.environ,
            "DB_NAME": connection.settings_dict["NAME"],
            "TELEGRAM_API_URL": settings.TELEGRAM_API_URL,
            "TELEGRAM_VERIFIER_CHAT_ID": str(settings.TELEGRAM_VERIFIER_CHAT_ID),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr


def go_on(market: LiveMarket) -> None:
    """The others wait for the dead one's lease, then publish."""
    with nothing_changes():
        market.post()
    with later(LEASE + timedelta(seconds=1)):
        market.post()


@pytest.mark.parametrize("line", [BEFORE_THE_ATTEMPT, BEFORE_THE_RECORD, IN_THE_RECORD], ids=str)
def test_a_publisher_that_dies_leaves_one_post(live_market: LiveMarket, line: Line) -> None:
    deal_id = live_market.scheduled()

    die_at(line)
    go_on(live_market)

    (post,) = live_market.posts()
    attempt = PostAttempt.objects.get(deal_id=deal_id)
    assert (attempt.state, attempt.message_ids) == ("POSTED", [post["message_id"]])
    assert live_market.status(deal_id) == "DELIVERY_VERIFYING"
    assert live_market.history(deal_id)[-2:] == ["PUBLISH", "START_VERIFYING"]


def test_a_publisher_that_dies_after_its_record_has_done_it_all(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()

    die_at(AFTER_THE_RECORD)
    with later(LEASE + timedelta(seconds=1)), nothing_changes():
        live_market.post()

    assert len(live_market.posts()) == 1
    assert live_market.status(deal_id) == "DELIVERY_VERIFYING"


def test_an_attempt_that_was_never_sent_is_left_to_an_operator(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()

    die_at(BEFORE_THE_CALL)
    go_on(live_market)

    deal = live_market.deal(deal_id)
    assert (deal.status, deal.hold_reason) == ("SCHEDULED", "POST_UNRESOLVED")
    assert live_market.posts() == []
