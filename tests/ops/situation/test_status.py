"""`manage.py status`: PostgreSQL is enough, what is away is said; 1 says: somebody must look."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from advertmarket.actors import Actor
from advertmarket.messaging.models import DeadLetter, OutboxMessage
from advertmarket.state import redis_state
from advertmarket.telegram.models import OutgoingMessage, Update
from advertmarket.telegram.outgoing import say
from ops.management.commands import status
from ops.models import ReconciliationRun
from ops.reconciliation import reconcile
from payments.models import Settlement, Wallet
from payments.operations import requests
from payments.sending import pause
from payments.wallets import freeze
from sandbox.process import LOOPBACK
from tests.database import Clone
from tests.hanging import black_hole, database_at
from tests.operators import hire
from tests.payments.bank import PRICE_NANO, Bank
from tests.payments.operations.desk import about
from tests.payments.server import Server
from tests.redis_elsewhere import state_at

AT = dt.datetime(2026, 11, 28, 3, 14, 15, tzinfo=dt.UTC)
SYSTEM = Actor.system("test")


@pytest.fixture
def installed(committed_db: Clone) -> None:
    """Payouts may run."""
    confirm()


def confirm() -> None:
    with transaction.atomic():
        pause.confirm_epoch(actor=SYSTEM, reason="test", at=timezone.now())


def look(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    capsys.readouterr()
    code: object = 0
    try:
        call_command("status", *options)
    except SystemExit as end:
        code = end.code
    return int(str(code)), capsys.readouterr().out


def said(output: str) -> dict[str, str]:
    """What stands behind each name; those that need a person begin with "!"."""
    lines = [line for line in output.splitlines()[1:] if line[:2] in ("! ", "  ")]
    heads = [line for line in lines if line[2] != " "]
    return {line[2:27].rstrip(): line[0].strip() + line[28:] for line in heads}


def test_when_all_is_well_nothing_needs_a_person(
    installed: None,
    consumers: None,
    ton_center: Server,
    bot_api: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reconcile(ReconciliationRun.Kind.INCREMENTAL, asked_by=SYSTEM)

    code, output = look(capsys)

    assert output.splitlines()[0].endswith(" UTC: nothing needs a person")
    assert code == 0
    assert not [line for line in output.splitlines() if line.startswith("!")]
    assert said(output)["payouts"] == "may run"
    assert said(output)["redis"] == "well"
    assert "    cg-deposit-watcher: 1 alive, lag 2" in output.splitlines()


def test_a_pause_says_who_and_why(installed: None, capsys: pytest.CaptureFixture[str]) -> None:
    olga = hire("olga")
    with transaction.atomic():
        pause.pause(actor=Actor.operator(olga), reason="a leak in the signer", at=AT)

    code, output = look(capsys)

    assert code == 1
    assert said(output)["payouts"] == "!PAUSED: system:pause_payouts is set"
    assert "    by olga, 2026-11-28 03:14 UTC: a leak in the signer" in output.splitlines()


def test_the_platform_s_own_pause_and_a_lost_epoch_are_told(
    installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with transaction.atomic():
        pause.pause(actor=Actor.system("reconciliation"), reason="check 15", at=AT)
    redis_state().delete(pause.EPOCH_KEY)

    lines = look(capsys)[1].splitlines()

    assert "    Redis lost its memory: run manage.py confirm_epoch" in lines
    assert "    the platform paused by itself: two operators resume" in lines


def test_short_is_a_line_each(installed: None, capsys: pytest.CaptureFixture[str]) -> None:
    long, short = look(capsys)[1], look(capsys, "--short")[1]

    assert said(short)["money"] == said(long)["money"]
    assert not [line for line in short.splitlines() if line.startswith("    on chain")]


def test_no_line_is_too_long_for_a_terminal(
    committed_db: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    output = look(capsys)[1]

    assert max(map(len, output.splitlines())) <= status.WIDTH < 100


def test_without_postgresql_the_rest_is_told(
    committed_db: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    with database_at(9):
        code, output = look(capsys)

    assert code == 1
    assert said(output)["PostgreSQL"].startswith("!cannot be told: connection failed")
    assert said(output)["redis"] == "well"
    assert said(output)["kafka"] == "well"


def test_without_a_token_telegram_is_not_asked(
    installed: None, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TELEGRAM_BOT_TOKEN = ""

    assert "telegram" not in said(look(capsys)[1])


@pytest.mark.thorough
def test_when_all_but_postgresql_hang_it_is_told_in_seconds(
    installed: None, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as holes:
        hole = holes.enter_context(black_hole())
        state_at(settings, f"redis://{LOOPBACK}:{hole}/0")
        settings.CELERY_BROKER_URL = f"redis://{LOOPBACK}:{hole}/2"
        settings.KAFKA_BOOTSTRAP_SERVERS = f"{LOOPBACK}:{hole}"
        settings.TON_API_URL = settings.TELEGRAM_API_URL = f"http://{LOOPBACK}:{hole}"
        began = time.monotonic()

        code, output = look(capsys)

    assert time.monotonic() - began < 10
    assert code == 1
    told = said(output)
    assert told["payouts"] == "!PAUSED: Redis cannot be read (TimeoutError)"
    assert told["money"] == "escrow 0 TON, owed 0 TON, treasury 0 TON"
    for name in ("redis", "kafka", "ton", "telegram"):
        assert told[name].startswith("!AWAY: "), told


# --- what waits for a person ----------------------------------------------------------------------


def test_what_could_not_be_delivered_or_applied_is_listed(
    installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    now = timezone.now()
    with transaction.atomic():
        for chat, about_money in ((1, True), (2, False)):
            say(chat_id=chat, text="x", about_money=about_money, is_reachable=False, at=now)
        say(chat_id=3, text="x", about_money=True, at=now)
    Update.objects.create(
        **queued(now), kind="message", body="{}", correlation_id=uuid4(), state="SET_ASIDE"
    )
    for age in (dt.timedelta(hours=1), dt.timedelta(days=3)):
        dead_letter(now - age)
    failed_event(now)

    code, output = look(capsys)

    assert code == 1
    told = said(output)
    assert told["undelivered about money"] == "!1"
    assert told["updates set aside"] == "!1 within 24 h"
    assert told["dead letters"] == "!1 within 24 h"
    assert told["failed events"] == "!1"
    assert told["outbox"] == "!1 can never be sent"
    assert "    cg-deals: 2, the last 60 min ago" in output.splitlines()
    [message] = OutgoingMessage.objects.filter(chat_id=1)
    assert f"    message {message.pk} to 1, UNREACHABLE:" in output.splitlines()


def queued(at: dt.datetime) -> dict[str, Any]:
    return {"id": 7, "chat_id": 1, "due_at": at, "created_at": at, "error": "KeyError"}


def dead_letter(at: dt.datetime) -> None:
    DeadLetter.objects.create(
        group="cg-deals",
        topic="deal.events",
        partition=0,
        offset=1,
        written_at=at,
        headers=[],
        error="Forged",
        created_at=at,
    )


def failed_event(at: dt.datetime) -> None:
    OutboxMessage.objects.create(
        event_id=uuid4(),
        idempotency_key="k",
        topic="deal.events",
        key=uuid4(),
        event_type="DEAL_CREATED",
        version=1,
        payload={},
        payload_digest=b"",
        correlation_id=uuid4(),
        status="FAILED",
        error="too large",
        created_at=at,
    )


@pytest.mark.thorough
def test_money_that_waits_is_listed_oldest_first_with_what_it_waits_for(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    ann = hire("ann", "operate_money")
    unclaimed = bank.funded_escrow()
    bank.release(unclaimed)
    bank.execute()
    held = bank.refund_due()
    act(ann, "settlement.hold", bank.settlement(held, Settlement.Kind.REFUND))
    frozen = bank.refund_due()
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(reference=frozen)
        freeze(wallet=wallet, reason="a test", at=timezone.now())
    act(ann, "settlement.cancel_into_refund", bank.settlement(unclaimed))
    bank.execute()

    told = said(look(capsys)[1])
    assert told["unclaimed payouts"] == "1, to decide: 0"
    assert told["stopped transfers"] == "!1"
    assert told["frozen wallets"] == "!1"
    assert told["stuck transfers"] == "0"  # not for an hour yet
    assert told["for a second person"] == "!1"
    assert told["money"] == "escrow 0 TON, owed 290 TON, treasury 0 TON"

    with bank.pass_time(2 * 3600):
        bank.read()
        bank.execute()
        code, output = look(capsys)
    assert code == 1
    assert said(output)["stuck transfers"] == "!1"
    lines = output.splitlines()
    first = lines.index("    REFUND 100 TON, QUEUED for 2 h: the wallet is frozen: a test")
    assert lines[first + 1] == f"      deal {frozen}"


def act(operator: int, name: str, settlement: Settlement) -> None:
    with transaction.atomic():
        requests.ask(
            name=name,
            payload=about(settlement, name),
            reason="a test",
            actor=Actor.operator(operator),
            at=timezone.now(),
        )


@pytest.mark.thorough
@pytest.mark.leaves_findings
def test_what_the_chain_has_and_the_books_have_not_is_shouted(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    bank.funded_escrow()
    assert said(look(capsys)[1])["money"] == "escrow 100 TON, owed 0 TON, treasury 0 TON"

    Wallet.objects.filter(balance_nano__gt=0).update(balance_nano=PRICE_NANO * 2)
    output = look(capsys)[1]

    assert said(output)["money"].startswith("!CHAIN AND BOOKS DIFFER: escrow 100 TON")
    assert "    on chain 200 TON, the books say 100 TON (block " in output
