"""docs/money.md says what the code does."""

from __future__ import annotations

from ops.manual import PATH, document
from payments.books.chart import DUST_WRITEOFF, HUBS, MEANING, PLATFORM_TREASURY, PerDeal, PerWallet


def test_the_document_is_that_of_the_code() -> None:
    assert PATH.read_text() == document(), "run: python manage.py describe_money"


def test_every_account_has_its_meaning() -> None:
    accounts = {*PerDeal, *PerWallet, *HUBS, PLATFORM_TREASURY, DUST_WRITEOFF}

    assert set(MEANING) == accounts
