"""`manage.py preflight`: a failure has its fix beside it, and what was not seen is no pass."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from advertmarket.actors import Actor
from advertmarket.messaging import kafka
from advertmarket.messaging.topics import TOPICS
from ops import preflight
from ops.health import checks
from ops.management.commands import preflight as command
from ops.preflight import Verdict
from payments.models import Wallet
from payments.sending import pause
from payments.ton.wallet import VERSION, new_mnemonic, public_key_of, subwallet_address
from tests.database import Clone
from tests.hanging import black_hole, database_at
from tests.ops.bot_api import webhook
from tests.payments.server import Answer as Says
from tests.payments.server import Server
from tests.redis_elsewhere import state_at

pytestmark = pytest.mark.usefixtures("english")

PASS, FAIL, SKIPPED = Verdict.PASS, Verdict.FAIL, Verdict.SKIPPED
OURS = "https://bot.advertmarket.com/api/v1/bot/webhook"
VERIFIER = -1001234567890


@pytest.fixture
def installed(
    committed_db: Clone, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[redis.Redis]:
    """An installation in production's settings, whose stores keep what they are told."""
    settings.PUBLIC_URL = "https://bot.advertmarket.com"
    settings.SECRET_KEY = "a django secret key as generate_secrets makes them, 64 letters"
    settings.SECURE_SSL_REDIRECT = True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    topics = frozenset(topic.name for topic in TOPICS)
    monkeypatch.setattr(kafka, "ping", lambda *, timeout_s: kafka.Cluster(1, topics))
    with transaction.atomic():
        pause.confirm_epoch(actor=Actor.system("test"), reason="test", at=timezone.now())
    with redis.Redis.from_url(settings.REDIS_STATE_URL) as client:
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        yield client
        client.config_set("appendonly", "no")


@pytest.fixture
def treasury(committed_db: Clone, settings: Settings) -> Wallet:
    """The treasury of our key."""
    return make_treasury(settings.TON_WALLET_PUBLIC_KEY)


def make_treasury(public_key: str) -> Wallet:
    return Wallet.objects.create(
        subwallet=0,
        version=VERSION,
        public_key=public_key,
        address=subwallet_address(public_key, 0),
        created_at=timezone.now(),
    )


@pytest.fixture
def chain(ton_center: Server) -> Server:
    """A TON Center of the test network."""
    ton_center.answers = [head()]
    return ton_center


def head(**more: object) -> Says:
    block = {"seqno": 41, "gen_utime": str(int(time.time())), "global_id": -3}
    return Says({"last": block | more})


@pytest.fixture
def telegram(settings: Settings, bot_api: Server) -> Server:
    """Telegram, with our bot, its webhook, and the channel where posts are compared."""
    settings.TELEGRAM_BOT_USERNAME = "our_bot"
    settings.TELEGRAM_VERIFIER_CHAT_ID = VERIFIER
    return bot_api


def one(name: str) -> tuple[Verdict, str, str]:
    [told] = preflight.look([name])
    return told.verdict, told.says, told.fix


def run(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, list[str]]:
    code: object = 0
    try:
        call_command("preflight", *names)
    except SystemExit as end:
        code = end.code
    return int(str(code)), capsys.readouterr().out.splitlines()


# --- the whole ------------------------------------------------------------------------------------


def test_what_can_be_seen_is_green_and_what_cannot_is_no_pass(
    installed: redis.Redis,
    treasury: Wallet,
    chain: Server,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.TELEGRAM_BOT_TOKEN = ""

    code, lines = run(capsys)

    assert lines[-1] == "12 PASS, 0 FAIL, 3 SKIPPED", lines
    assert code == 0
    assert "SKIPPED  webhook     the role manage does not know TELEGRAM_BOT_TOKEN" in lines
    assert not [line for line in lines if "fix:" in line]


def test_what_fails_has_its_fix_beside_it(
    committed_db: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(capsys)

    assert code == 1
    below = lines.index(
        "FAIL     epoch       no epoch is confirmed yet: run manage.py confirm_epoch"
    )
    assert lines[below + 1] == "                fix: python manage.py confirm_epoch"
    assert max(map(len, lines)) <= command.WIDTH < 100


@pytest.mark.thorough
def test_with_nothing_there_nothing_passes_but_what_needs_nothing(
    committed_db: Clone, settings: Settings
) -> None:
    state_at(settings, "redis://127.0.0.1:9/0")
    settings.KAFKA_BOOTSTRAP_SERVERS = "127.0.0.1:9"

    with database_at(9):
        told = preflight.look()

    assert {one.name for one in told if one.verdict is PASS} == {"disk"}
    assert {one.name for one in told if one.verdict is SKIPPED} == {
        "clock",
        "network",
        "topics",
        "verifier",
        "wallet",
        "webhook",
    }


def test_what_is_named_is_looked_at_alone(
    installed: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(capsys, "redis", "disk")

    assert (code, [line.split()[1] for line in lines[1:-1]]) == (0, ["redis", "disk"])
    with pytest.raises(CommandError, match="unknown: moon; there are settings, "):
        run(capsys, "moon")


@pytest.mark.thorough
def test_all_that_hangs_is_waited_for_ten_seconds_once(
    installed: redis.Redis, settings: Settings
) -> None:
    with black_hole() as hole:
        settings.TELEGRAM_API_URL = f"http://127.0.0.1:{hole}"
        began = time.monotonic()

        told = preflight.look(["bot", "webhook"])

    assert {(one.verdict, one.says) for one in told} == {(FAIL, "no answer in 10.0 s")}
    assert time.monotonic() - began < 13


# --- one by one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PUBLIC_URL", "http://bot.advertmarket.com", "PUBLIC_URL is not https"),
        ("MINI_APP_URL", "http://x", "MINI_APP_URL is not https"),
        ("ALLOWED_HOSTS", ["localhost"], "ALLOWED_HOSTS lacks bot.advertmarket.com"),
        ("SESSION_COOKIE_SECURE", False, "security.W012"),
        ("TREASURY_COLD_ADDRESS", "EQ", "TREASURY_COLD_ADDRESS: "),
    ],
)
def test_settings_that_are_not_for_production_fail(
    installed: redis.Redis, settings: Settings, name: str, value: object, problem: str
) -> None:
    setattr(settings, name, value)

    verdict, says, _fix = one("settings")

    assert verdict is FAIL
    assert says.startswith(problem)


def test_a_demo_s_times_fail_where_real_money_is(
    installed: redis.Redis, settings: Settings
) -> None:
    settings.DEADLINE_SCALE = 0.001
    assert one("settings")[0] is PASS

    settings.TON_NETWORK = "mainnet"

    assert one("settings")[1] == "DEADLINE_SCALE is 0.001 where real money is"


def test_a_missing_migration_fails(committed_db: Clone) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'deals' AND name LIKE '0006%'")

    assert one("migrations") == (
        FAIL,
        "not applied: deals.0006_disputes",
        "python manage.py migrate",
    )


@pytest.mark.parametrize(
    ("setting", "value", "problem", "fix"),
    [
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru", "noeviction"),
        ("appendfsync", "everysec", "appendfsync is everysec: a pause could be lost", "always"),
        ("appendonly", "no", "it keeps nothing on disk", "appendonly yes"),
    ],
)
def test_a_redis_that_may_forget_fails(
    installed: redis.Redis, setting: str, value: str, problem: str, fix: str
) -> None:
    before = str(installed.config_get(setting)[setting])
    installed.config_set(setting, value)

    verdict, says, told_fix = one("redis")
    installed.config_set(setting, before)

    assert (verdict, says) == (FAIL, problem)
    assert fix in told_fix


def test_a_pause_is_told_and_no_failure(installed: redis.Redis) -> None:
    installed.set(pause.PAUSE_KEY, "1")

    assert one("epoch") == (
        PASS,
        "it stands; payouts are paused: system:pause_payouts is set",
        "",
    )


def test_a_missing_topic_fails(committed_db: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = frozenset(topic.name for topic in TOPICS[1:])
    monkeypatch.setattr(kafka, "ping", lambda *, timeout_s: kafka.Cluster(1, topics))

    assert one("topics") == (
        FAIL,
        "missing: ['deal.events']",
        "python manage.py create_topics",
    )


def test_a_full_disk_fails(committed_db: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DISK_FULL_PERCENT", 0)

    assert one("disk")[0] is FAIL


@pytest.mark.parametrize(
    ("global_id", "verdict", "says"),
    [
        (-3, PASS, "testnet"),
        (-239, FAIL, "TON Center serves mainnet, and TON_NETWORK is testnet"),
        (None, SKIPPED, "TON Center does not tell its network"),
    ],
)
def test_the_network_must_be_the_one_that_is_meant(
    committed_db: Clone, chain: Server, global_id: int | None, verdict: Verdict, says: str
) -> None:
    chain.answers = [head(global_id=global_id)]

    assert one("network")[:2] == (verdict, says)


def test_a_clock_that_is_off_fails(committed_db: Clone, chain: Server) -> None:
    chain.answers = [head(gen_utime=str(int(time.time()) - 100))]

    verdict, says, fix = one("clock")

    assert verdict is FAIL
    assert re.fullmatch(r"\+10\d s against the chain's last block", says)
    assert fix == "set the host's clock: run an NTP client"


def test_the_treasury_is_our_mnemonic_s(treasury: Wallet) -> None:
    verdict, says, _fix = one("wallet")

    assert verdict is PASS
    assert says.endswith(", as TON_WALLET_MNEMONIC derives it")


def test_without_the_mnemonic_it_is_our_public_key_s(treasury: Wallet, settings: Settings) -> None:
    settings.TON_WALLET_MNEMONIC = ""

    assert one("wallet")[1].endswith(", as TON_WALLET_PUBLIC_KEY derives it")


def test_another_key_s_treasury_fails(committed_db: Clone) -> None:
    make_treasury(public_key_of(new_mnemonic()))

    verdict, says, fix = one("wallet")

    assert verdict is FAIL
    assert says.startswith("the database's treasury is ")
    assert fix == "the key of this database's backup; never another one"


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({"TON_WALLET_MNEMONIC": "one two"}, FAIL, "TON_WALLET_MNEMONIC: not a valid TON"),
        (
            {"TON_WALLET_PUBLIC_KEY": "00" * 32},
            FAIL,
            "TON_WALLET_PUBLIC_KEY is not the mnemonic's",
        ),
        (
            {"TON_WALLET_PUBLIC_KEY": "", "TON_WALLET_MNEMONIC": ""},
            SKIPPED,
            "the role manage knows neither mnemonic nor public key",
        ),
    ],
)
def test_keys_that_are_wrong_or_not_here(
    treasury: Wallet, settings: Settings, changes: dict[str, Any], verdict: Verdict, says: str
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    found = one("wallet")

    assert found[0] is verdict
    assert found[1].startswith(says)


def test_a_database_without_a_treasury_is_skipped(committed_db: Clone) -> None:
    assert one("wallet")[:2] == (
        SKIPPED,
        "the database has no treasury yet: the worker makes it in a few seconds",
    )


# --- Telegram -------------------------------------------------------------------------------------


def me(username: str = "our_bot") -> Says:
    bot = {"id": 7000000001, "is_bot": True, "first_name": "Bot", "username": username}
    return Says({"ok": True, "result": bot})


def test_another_bot_s_token_fails(committed_db: Clone, telegram: Server) -> None:
    telegram.answers = [me("other_bot")]

    assert one("bot") == (FAIL, "the token is @other_bot's", "TELEGRAM_BOT_USERNAME=other_bot")


def test_our_bot_s_token_passes(committed_db: Clone, telegram: Server) -> None:
    telegram.answers = [me()]

    assert one("bot")[:2] == (PASS, "@our_bot")


@pytest.mark.parametrize(
    ("info", "verdict", "says"),
    [
        ({"url": OURS}, PASS, f"{OURS}, 3 pending"),
        ({"url": ""}, FAIL, f"it is not registered, and ours is {OURS}"),
        ({"url": "https://x/hook"}, FAIL, f"it is https://x/hook, and ours is {OURS}"),
        ({"url": OURS, "last_error_date": 1, "last_error_message": "SSL"}, PASS, f"{OURS}, 3 p"),
    ],
)
def test_the_webhook_is_ours_and_works(
    installed: redis.Redis, telegram: Server, info: dict[str, object], verdict: Verdict, says: str
) -> None:
    telegram.answers = [Says({"ok": True, "result": webhook(**info)})]

    found = one("webhook")

    assert found[0] is verdict
    assert found[1].startswith(says)


def test_a_webhook_that_telegram_did_not_reach_just_now_fails(
    installed: redis.Redis, telegram: Server
) -> None:
    info = webhook(url=OURS, last_error_date=int(time.time()), last_error_message="SSL")
    telegram.answers = [Says({"ok": True, "result": info})]

    assert one("webhook")[:2] == (FAIL, "Telegram cannot reach it: SSL")


@pytest.mark.parametrize(("status", "verdict"), [("administrator", PASS), ("left", FAIL)])
def test_the_bot_administers_where_posts_are_compared(
    committed_db: Clone, telegram: Server, status: str, verdict: Verdict
) -> None:
    person = {"id": 7000000001, "is_bot": True, "first_name": "Bot"}
    member: dict[str, object] = {"status": status, "user": person}
    rights = (
        "can_be_edited is_anonymous can_manage_chat can_delete_messages can_manage_video_chats"
        " can_restrict_members can_promote_members can_change_info can_invite_users"
        " can_post_stories can_edit_stories can_delete_stories"
    )
    member |= dict.fromkeys(rights.split(), True)
    telegram.by_method = {
        "getMe": me(),
        "getChatMember": Says({"ok": True, "result": member}),
    }

    assert one("verifier")[0] is verdict
