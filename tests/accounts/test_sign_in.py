"""Guessing an operator's password: five tries, then a quarter of an hour's rest."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from django.test import Client

from accounts import throttle
from accounts.models import Operator, WrongPasswords
from accounts.throttle import TooManyWrongPasswords
from tests.database import Clone

AT = datetime(2026, 1, 1, tzinfo=UTC)
PASSWORD = "correct horse battery staple"


def sign_in(name: str, password: str, address: str = "10.0.0.1") -> tuple[int, str]:
    answer = Client(headers={"accept-language": "en"}).post(
        "/admin/login/?next=/admin/",
        {"username": name, "password": password},
        headers={"x-forwarded-for": address},
    )
    return answer.status_code, answer.content.decode()


def count(name: str = "olga", address: str = "10.0.0.1", at: datetime = AT) -> None:
    with transaction.atomic():
        throttle.count_try(name=name, address=address, at=at)


@pytest.mark.django_db
def test_after_five_wrong_passwords_the_right_one_is_refused_too() -> None:
    Operator.objects.create_superuser("olga", password=PASSWORD)

    for number in range(5):
        status, page = sign_in("olga", f"wrong {number}", f"10.0.0.{number}")
        assert (status, "Too many wrong passwords" in page) == (200, False)

    status, page = sign_in("olga", PASSWORD, "10.0.0.99")
    assert status == 200
    assert "Too many wrong passwords. Try again in 15 min." in page


@pytest.mark.django_db
def test_the_right_password_takes_the_count_back() -> None:
    Operator.objects.create_superuser("olga", password=PASSWORD)
    for _ in range(3):
        for number in range(4):
            sign_in("olga", f"wrong {number}")
        assert sign_in("olga", PASSWORD)[0] == 302

    assert not WrongPasswords.objects.exists()


@pytest.mark.django_db
def test_one_address_cannot_try_one_name_after_another() -> None:
    for number in range(20):
        count(f"name {number}")

    with pytest.raises(TooManyWrongPasswords):
        count("another name")
    count("another name", "10.0.0.2")


@pytest.mark.django_db
def test_a_refusal_ends_after_15_minutes_and_is_not_made_longer_by_trying() -> None:
    for _ in range(5):
        count()
    for minutes in (0, 14):
        with pytest.raises(TooManyWrongPasswords) as refusal:
            count(at=AT + timedelta(minutes=minutes))
        assert refusal.value.facts == {"minutes": 15 - minutes}

    for _ in range(5):
        count(at=AT + timedelta(minutes=15))
    with pytest.raises(TooManyWrongPasswords):
        count(at=AT + timedelta(minutes=15))


@pytest.mark.django_db
def test_slow_mistakes_are_no_guessing() -> None:
    for hour in range(9):
        count(at=AT + timedelta(hours=hour))

    assert set(WrongPasswords.objects.values_list("tries", flat=True)) == {1}


@pytest.mark.django_db
def test_what_counts_no_longer_is_forgotten() -> None:
    count()

    with transaction.atomic():
        assert throttle.forget(at=AT + timedelta(minutes=30)) == 0
        assert throttle.forget(at=AT + timedelta(minutes=31)) == 2


def test_many_tries_at_once_gain_nothing(committed_db: Clone) -> None:
    together = threading.Barrier(8)
    refused: list[bool] = []

    def attempt() -> None:
        together.wait(10)
        try:
            count()
            refused.append(False)
        except TooManyWrongPasswords:
            refused.append(True)
        connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(refused) == [False] * 5 + [True] * 3
