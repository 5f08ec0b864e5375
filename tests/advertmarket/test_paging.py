"""Keyset pages: each row once, whatever the limit; and only cursors that were given out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advertmarket.actors import Actor
from advertmarket.api.paging import CursorInvalid, PageRequest
from advertmarket.audit import services as audit
from advertmarket.audit.models import AuditEntry

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = [("-at", "-id"), ("at", "id"), ("object_id", "-id"), ("-id",), ("-correlation_id", "id")]

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    """12 rows, some at the same microsecond, so that the second column must decide."""
    for number in range(12):
        with transaction.atomic():
            audit.record(
                actor=Actor.system("test"),
                action="test",
                object_type="test",
                object_id=f"{number % 3}",
                before=None,
                after=None,
                at=AT + timedelta(microseconds=number // 4),
            )
    return list(AuditEntry.objects.all())


@given(order=st.sampled_from(ORDERS), limit=st.integers(1, 14))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_pages_together_are_the_list(
    entries: list[AuditEntry], order: tuple[str, ...], limit: int
) -> None:
    whole = list(AuditEntry.objects.order_by(*order))
    seen: list[AuditEntry] = []
    cursor: str | None = None
    while True:
        page = PageRequest(cursor, limit).of(AuditEntry.objects.all(), order=order)
        seen += page.items
        assert page.has_next == (len(seen) < len(whole))
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.items) == limit

    assert seen == whole


def test_a_row_that_comes_in_between_is_not_shown_twice(entries: list[AuditEntry]) -> None:
    first = PageRequest(None, 5).of(AuditEntry.objects.all(), order=("-id",))
    with transaction.atomic():
        audit.record(
            actor=Actor.system("test"), action="late", object_type="test", object_id="9",
            before=None, after=None, at=AT,
        )  # fmt: skip

    second = PageRequest(first.next_cursor, 20).of(AuditEntry.objects.all(), order=("-id",))

    assert first.items + second.items == sorted(entries, key=lambda entry: -entry.pk)


@given(
    cursor=st.text(max_size=60) | st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_text_is_no_cursor(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        PageRequest(cursor).of(AuditEntry.objects.all(), order=("-id",))


def test_a_cursor_of_another_order_is_refused(entries: list[AuditEntry]) -> None:
    cursor = PageRequest(None, 5).of(AuditEntry.objects.all(), order=("-id",)).next_cursor

    with pytest.raises(CursorInvalid):
        PageRequest(cursor).of(AuditEntry.objects.all(), order=("id",))


def test_a_list_over_http(ann: Client, entries: list[AuditEntry]) -> None:
    first = ann.get("/api/v1/notes?limit=8").json()
    second = ann.get("/api/v1/notes", {"limit": 8, "cursor": first["nextCursor"]}).json()

    assert (len(first["items"]), first["hasNext"]) == (8, True)
    assert (len(second["items"]), second["hasNext"], second["nextCursor"]) == (4, False, None)
    assert first["items"][0] == {"objectId": "2"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=broken", "CURSOR_INVALID"),
        ("cursor=%00", "VALIDATION_FAILED"),
        ("limit=0", "VALIDATION_FAILED"),
        ("limit=101", "VALIDATION_FAILED"),
        ("limit=ten", "VALIDATION_FAILED"),
    ],
)
def test_a_bad_page_is_400(ann: Client, query: str, code: str) -> None:
    answer = ann.get(f"/api/v1/notes?{query}")

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
