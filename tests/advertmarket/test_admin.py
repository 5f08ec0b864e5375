"""Lists of the back office stay fast: they count nothing, and look an id up by its index."""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import CharField, TextField
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts import services
from accounts.models import Operator, Session, TelegramUser
from advertmarket.admin import ReadOnlyAdmin
from tests.accounts.launches import launch

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def olga(client: Client) -> Client:
    client.force_login(Operator.objects.create_superuser("olga", password="correct horse"))
    return client


def log_in(user_id: int, username: str = "") -> None:
    with transaction.atomic():
        services.log_in(init_data=launch(user_id, at=AT, username=username), at=AT)


@pytest.mark.parametrize("query", ["", "?q=42", "?p=2"])
def test_a_list_counts_nothing(olga: Client, query: str) -> None:
    for user_id in range(1, 120):
        log_in(user_id)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = olga.get(f"/admin/accounts/telegramuser/{query}")

    assert page.status_code == 200
    assert [each["sql"] for each in queries if "COUNT(" in each["sql"]] == []


@pytest.mark.parametrize(
    ("term", "found"), [("42", {42}), ("ann", {42}), ("4", set()), ("an", set()), ("9" * 30, set())]
)
def test_a_user_is_found_by_the_exact_id_or_name(olga: Client, term: str, found: set[int]) -> None:
    log_in(42, "ann")
    log_in(43, "bob")

    page = olga.get("/admin/accounts/telegramuser/", {"q": term})

    assert {user.pk for user in page.context["cl"].result_list} == found


def test_an_id_is_compared_as_what_it_is() -> None:
    """So that the index serves."""
    log_in(42)
    session = Session.objects.get()
    found, _ = admin.site._registry[Session].get_search_results(
        RequestFactory().get("/"), Session.objects.all(), str(session.pk)
    )

    assert list(found) == [session]
    assert "::" not in str(found.query)
    assert "UPPER" not in str(found.query)


TERMS = ["42", str(uuid.UUID(int=7)), "anything else", "9" * 30]


@pytest.mark.parametrize("term", TERMS)
def test_no_page_of_the_product_compares_as_text_what_is_none(term: str) -> None:
    columns = {
        (model._meta.db_table, field.column): field
        for model in apps.get_models()
        for field in model._meta.concrete_fields
    }
    for model, page in admin.site._registry.items():
        if isinstance(page, ReadOnlyAdmin):
            rows = model._default_manager.all()
            found, _ = page.get_search_results(RequestFactory().get("/"), rows, term)
            with suppress(EmptyResultSet):
                for place in re.findall(r'"(\w+)"\."(\w+)"::', str(found.query)):
                    assert isinstance(columns[place], CharField | TextField), (page, place)


@pytest.mark.thorough
def test_every_page_of_the_product_searches_without_a_fault(olga: Client) -> None:
    for model, page in admin.site._registry.items():
        if isinstance(page, ReadOnlyAdmin) and page.search_fields:
            for term in TERMS:
                path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
                assert olga.get(path, {"q": term}).status_code == 200, (path, term)
    assert TelegramUser in admin.site._registry


def test_the_search_box_finds_pages(olga: Client) -> None:
    for _ in range(2):
        answer = olga.get("/admin/search/", {"s": "telegram users"})

        assert answer.status_code == 200
        assert "/admin/accounts/telegramuser/" in answer.content.decode()
