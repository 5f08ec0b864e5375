"""The reports in the back office: which check says what, about what, and how to ask again."""

from __future__ import annotations

import html

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Operator
from ops.models import ReconciliationResult, ReconciliationRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga(client: Client) -> Client:
    client.force_login(Operator.objects.create_superuser("olga", password="correct horse"))
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def result() -> ReconciliationResult:
    """What a check found in a run."""
    run = ReconciliationRun.objects.create(
        kind=ReconciliationRun.Kind.FULL,
        asked_by="system:beat",
        started_at=timezone.now(),
        finished_at=timezone.now(),
        passed=False,
    )
    return ReconciliationResult.objects.create(
        run=run,
        number=4,
        name="balances_are_sums_of_postings",
        severity="CRITICAL",
        passed=False,
        found=102,
        figures={"accounts_that_hold": 7, "held_nano": 12},
        sql="SELECT code FROM account_balances WHERE 1 < 2;",
        rows=[["ESCROW:<x>", "balance 1, sum of postings 2"], ["ESCROW:y", "balance 3"]],
        duration_ms=12,
    )


def page(olga: Client, path: str) -> str:
    answer = olga.get(f"/admin/ops/{path}")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def test_a_run_s_page_leads_to_each_check(olga: Client, result: ReconciliationResult) -> None:
    shown = page(olga, f"reconciliationrun/{result.run_id}/change/")

    assert f'<a href="/admin/ops/reconciliationresult/{result.pk}/change/">' in shown
    assert "4 balances_are_sums_of_postings" in shown
    assert "held_nano 12, accounts_that_hold 7" in shown


def test_a_check_s_page_has_what_was_found_and_the_sql(
    olga: Client, result: ReconciliationResult
) -> None:
    answer = olga.get(f"/admin/ops/reconciliationresult/{result.pk}/change/").content.decode()

    assert "<td>ESCROW:&lt;x&gt;</td><td>balance 1, sum of postings 2</td>" in answer
    assert "and 100 more" in answer
    assert "SELECT code FROM account_balances WHERE 1 &lt; 2;</pre>" in answer
    assert "Each running balance is the sum of its postings" in answer


def test_the_lists_are_there_and_nobody_changes_anything(
    olga: Client, result: ReconciliationResult
) -> None:
    assert "system:beat" in page(olga, "reconciliationrun/?passed__exact=0")
    assert "balances_are_sums_of_postings" in page(olga, "reconciliationresult/")

    for path in ("reconciliationrun/add/", f"reconciliationrun/{result.run_id}/delete/"):
        assert olga.get(f"/admin/ops/{path}").status_code == 403
    olga.post(f"/admin/ops/reconciliationresult/{result.pk}/change/", {"found": 0})
    result.refresh_from_db()
    assert result.found == 102
