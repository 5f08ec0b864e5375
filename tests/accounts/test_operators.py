"""Operators: made on the command line, signed in to the admin; Telegram users never."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Operator
from accounts.selectors import operator_of_chat
from advertmarket.audit.models import AuditEntry

PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATOR_PASSWORD", PASSWORD)


def create(username: str = "olga", *, superuser: bool = True) -> None:
    call_command("create_operator", username, *(["--superuser"] if superuser else []), verbosity=0)


def test_an_operator_is_created_and_audited() -> None:
    create()

    operator = Operator.objects.get()
    assert (operator.username, operator.is_staff, operator.is_superuser) == ("olga", True, True)
    assert operator.check_password(PASSWORD)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_id, entry.object_id) == (
        "create_operator",
        "create_operator",
        str(operator.pk),
    )
    assert PASSWORD not in str(entry.after)


def test_a_taken_name_is_refused() -> None:
    create()

    with pytest.raises(CommandError, match=r"(“|«)olga"):
        create()
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("weak", ["short", "1234567890123", "password"])
def test_a_weak_password_is_refused(monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    monkeypatch.setenv("OPERATOR_PASSWORD", weak)

    with pytest.raises(CommandError):
        create()
    assert not Operator.objects.exists()


def link(username: str, telegram_id: int) -> None:
    call_command("link_operator", username, str(telegram_id), "--language", "en", verbosity=0)


def test_an_operator_is_found_by_their_telegram_account() -> None:
    create()
    link("olga", 4711)

    olga = operator_of_chat(4711)
    assert olga is not None
    assert (olga.username, olga.telegram_id, olga.language) == ("olga", 4711, "en")
    entry = AuditEntry.objects.get(action="link_operator")
    assert (entry.actor_kind, entry.actor_id) == ("operator", str(olga.id))
    assert entry.before == {"telegram_id": None, "language": "ru"}
    assert entry.after == {"telegram_id": 4711, "language": "en"}


def test_one_who_left_is_found_no_more() -> None:
    create()
    link("olga", 4711)
    Operator.objects.update(is_active=False)

    assert operator_of_chat(4711) is None


def test_a_telegram_account_is_one_operators() -> None:
    create()
    create("pavel")
    link("olga", 4711)

    with pytest.raises(CommandError, match="4711"):
        link("pavel", 4711)
    assert Operator.objects.get(username="pavel").telegram_id is None


def test_nobody_links_an_operators_name_to_an_account_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create()
    monkeypatch.setenv("OPERATOR_PASSWORD", "wrong")

    with pytest.raises(CommandError, match="no active operator olga has this password"):
        link("olga", 4711)
    assert operator_of_chat(4711) is None


@pytest.mark.parametrize(("username", "telegram_id"), [("nobody", 4711), ("olga", 0)])
def test_whom_there_is_not_is_not_linked(username: str, telegram_id: int) -> None:
    create()

    with pytest.raises(CommandError):
        link(username, telegram_id)
    assert operator_of_chat(4711) is None


@pytest.fixture
def olga() -> Client:
    create()
    client = Client()
    assert client.login(username="olga", password=PASSWORD)
    return client


def test_the_sign_in_page_lets_an_operator_in() -> None:
    create()
    client = Client()

    wrong = client.post("/admin/login/", {"username": "olga", "password": "wrong"})
    right = client.post("/admin/login/?next=/admin/", {"username": "olga", "password": PASSWORD})

    assert wrong.status_code == 200
    assert (right.status_code, right["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("model", ["operator", "telegramuser", "session"])
def test_pages_of_accounts_show_and_change_nothing(olga: Client, model: str) -> None:
    assert olga.get(f"/admin/accounts/{model}/").status_code == 200
    assert olga.get(f"/admin/accounts/{model}/add/").status_code == 403


def test_the_audit_log_is_shown_and_not_changed(olga: Client) -> None:
    entry = AuditEntry.objects.get()

    assert olga.get("/admin/audit/auditentry/").status_code == 200
    page = olga.get(f"/admin/audit/auditentry/{entry.pk}/change/")
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert olga.post(f"/admin/audit/auditentry/{entry.pk}/delete/").status_code == 403


def test_no_admin_shows_the_vault_or_a_password_s_hash(olga: Client) -> None:
    shown = {model._meta.db_table for model in admin.site._registry}
    operator = Operator.objects.get()

    assert "pii_store" not in shown
    page = olga.get(f"/admin/accounts/operator/{operator.pk}/change/").content.decode()
    assert operator.password not in page
    assert "pbkdf2" not in page
