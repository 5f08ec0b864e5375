"""Signing in: one session for one launch, and no way back into one that ended."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from accounts import selectors, services
from accounts.init_data import InvalidInitData
from accounts.models import Session, TelegramUser
from accounts.selectors import UserBlocked
from accounts.services import InitDataExpired, Login
from accounts.tokens import InvalidToken, TokenExpired
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from tests.accounts.launches import launch
from tests.database import Clone

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADMIN = Actor.operator(1)


def log_in(init_data: str, at: datetime = AT) -> Login:
    with transaction.atomic():
        return services.log_in(init_data=init_data, at=at)


def block(user_id: int) -> None:
    with transaction.atomic():
        services.block_user(user_id=user_id, actor=ADMIN, reason="fraud", at=AT)


@pytest.mark.django_db
def test_a_first_launch_makes_the_user_and_a_session_of_a_day() -> None:
    login = log_in(launch(42, at=AT, username="ann", language_code="ru-RU"))

    user = selectors.get_user(42)
    assert (user.first_name, user.username, user.language) == ("Ann", "ann", "ru")
    assert login.expires_in_s == 86_400
    assert selectors.authenticate(login.token, at=AT).pk == 42
    assert Session.objects.get().expires_at == AT + timedelta(days=1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "language"), [("ru", "ru"), ("en", "en"), ("de", "en"), ("", "en")]
)
def test_a_new_user_s_language_is_what_telegram_says(code: str, language: str) -> None:
    log_in(launch(42, at=AT, language_code=code))

    assert selectors.get_user(42).language == language


@pytest.mark.django_db
def test_the_same_launch_goes_on_with_the_same_session_however_old_it_became() -> None:
    init_data = launch(42, at=AT)
    first = log_in(init_data)

    later = log_in(init_data, at=AT + timedelta(hours=20))

    assert later.token == first.token
    assert later.expires_in_s == 4 * 3600
    assert Session.objects.count() == 1


@pytest.mark.django_db
def test_an_old_launch_brings_no_old_name_back() -> None:
    old = launch(42, at=AT, first_name="Ann")
    log_in(old)
    log_in(launch(42, at=AT + timedelta(seconds=1), first_name="Anna"))

    log_in(old, at=AT + timedelta(hours=2))

    user = TelegramUser.objects.get()
    assert (user.first_name, user.seen_at) == ("Anna", AT + timedelta(hours=2))


@pytest.mark.django_db
def test_the_launch_of_a_deleted_user_brings_nothing_back_and_a_new_one_begins_anew() -> None:
    old = launch(42, at=AT)
    log_in(old)
    TelegramUser.objects.update(deleted_at=AT, first_name="")

    with pytest.raises(InitDataExpired):
        log_in(old, at=AT + timedelta(seconds=9))
    user = TelegramUser.objects.get()
    assert (user.deleted_at, user.first_name, user.seen_at) == (AT, "", AT)

    log_in(launch(42, at=AT + timedelta(seconds=1)))
    assert TelegramUser.objects.get().deleted_at is None


@pytest.mark.django_db
def test_another_launch_is_another_session_and_keeps_the_chosen_language() -> None:
    first = log_in(launch(42, at=AT, language_code="ru"))
    with transaction.atomic():
        services.set_language(user_id=42, language="en", at=AT)

    second = log_in(launch(42, at=AT + timedelta(seconds=1), language_code="ru", first_name="Anna"))

    assert second.token != first.token
    assert Session.objects.count() == 2
    user = selectors.get_user(42)
    assert (user.first_name, user.language) == ("Anna", "en")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age_s", "refusal"),
    [(300, None), (301, InitDataExpired), (-30, None), (-31, InvalidInitData)],
)
def test_launch_data_may_be_300_s_old_and_30_s_ahead(
    age_s: int, refusal: type[Exception] | None
) -> None:
    init_data = launch(42, at=AT - timedelta(seconds=age_s))

    if refusal is None:
        assert log_in(init_data).user.pk == 42
        return
    with pytest.raises(refusal):
        log_in(init_data)
    assert not TelegramUser.objects.exists()
    assert not Session.objects.exists()


@pytest.mark.django_db
def test_a_revoked_session_stays_revoked_and_its_launch_is_used_up() -> None:
    init_data = launch(42, at=AT)
    token = log_in(init_data).token
    with transaction.atomic():
        services.log_out(token=token, at=AT)

    with pytest.raises(InvalidToken):
        selectors.authenticate(token, at=AT)
    with pytest.raises(InitDataExpired):
        log_in(init_data)
    assert Session.objects.get().revoked_at == AT


@pytest.mark.django_db
def test_an_ended_session_is_not_begun_again() -> None:
    init_data = launch(42, at=AT)
    token = log_in(init_data).token
    end = AT + timedelta(days=1)

    with pytest.raises(TokenExpired):
        selectors.authenticate(token, at=end)
    with pytest.raises(InitDataExpired):
        log_in(init_data, at=end)

    with transaction.atomic():
        assert services.forget_sessions(at=end + timedelta(days=1, seconds=1)) == 1
    with pytest.raises(InitDataExpired):
        log_in(init_data, at=end + timedelta(days=2))


@pytest.mark.django_db
def test_a_blocked_user_is_refused_at_once_and_at_the_next_launch() -> None:
    token = log_in(launch(42, at=AT)).token
    block(42)

    with pytest.raises(UserBlocked):
        selectors.authenticate(token, at=AT)
    with pytest.raises(UserBlocked):
        log_in(launch(42, at=AT + timedelta(seconds=1)))
    assert Session.objects.count() == 1
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.reason) == ("block_user", "42", "fraud")


@pytest.mark.django_db
def test_a_deleted_user_s_token_is_refused() -> None:
    token = log_in(launch(42, at=AT)).token
    TelegramUser.objects.update(deleted_at=AT)

    with pytest.raises(InvalidToken):
        selectors.authenticate(token, at=AT)


@pytest.mark.django_db
def test_a_token_without_its_session_is_refused() -> None:
    token = log_in(launch(42, at=AT)).token
    Session.objects.all().delete()

    with pytest.raises(InvalidToken):
        selectors.authenticate(token, at=AT)


def test_a_launch_sent_twice_at_once_begins_one_session(committed_db: Clone) -> None:
    init_data = launch(42, at=AT)
    together = threading.Barrier(2)
    tokens: list[str] = []

    def run() -> None:
        together.wait(10)
        tokens.append(log_in(init_data).token)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(tokens) == 2
    assert len(set(tokens)) == 1
    assert Session.objects.count() == 1
