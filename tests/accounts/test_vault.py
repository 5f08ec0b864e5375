"""The vault: nothing readable in the table, nothing readable elsewhere than where it was put."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from django.conf import settings as live_settings
from django.db import transaction
from pytest_django import Settings

from accounts import services, vault
from accounts.models import Pii

AT = datetime(2026, 1, 1, tzinfo=UTC)
VALUE = {"address": "0:" + "ab" * 32, "comment": "memo 7"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def users(db: None) -> None:
    with transaction.atomic():
        for user_id in (1, 2):
            services.get_or_create_user(
                user_id=user_id, first_name="A", username="", language_code="ru", at=AT
            )


def keep(user_id: int = 1, field: str = "payout_address") -> Pii:
    with transaction.atomic():
        vault.keep(user_id=user_id, field=field, value=VALUE, at=AT)
    return Pii.objects.get(user_id=user_id, field=field)


def test_a_value_is_read_back_and_is_not_in_the_table() -> None:
    row = keep()

    assert vault.read(user_id=1, field="payout_address") == VALUE
    stored = bytes(row.nonce) + bytes(row.ciphertext)
    assert len(bytes(row.nonce)) == 12
    assert b"abab" not in stored
    assert b"memo" not in stored


def test_what_was_never_kept_is_none() -> None:
    assert vault.read(user_id=2, field="payout_address") is None


def test_the_same_value_twice_has_another_nonce_and_ciphertext() -> None:
    first = keep()
    second = keep()

    assert bytes(first.nonce) != bytes(second.nonce)
    assert bytes(first.ciphertext) != bytes(second.ciphertext)
    assert Pii.objects.count() == 1


@pytest.mark.parametrize("moved_to", [{"user_id": 2}, {"field": "refund_address"}])
def test_a_ciphertext_moved_to_another_row_does_not_decrypt(moved_to: dict[str, object]) -> None:
    keep()
    where = {"user_id": 1, "field": "payout_address", **moved_to}
    Pii.objects.update(**where)

    with pytest.raises(vault.Unreadable):
        vault.read(**where)  # type: ignore[arg-type]


def test_a_changed_bit_is_noticed() -> None:
    row = keep()
    changed = bytearray(row.ciphertext)
    changed[0] ^= 1
    Pii.objects.update(ciphertext=bytes(changed))

    with pytest.raises(vault.Unreadable):
        vault.read(user_id=1, field="payout_address")


def test_a_new_key_writes_and_an_old_one_still_reads(settings: Settings) -> None:
    keep(user_id=1)
    old, new = live_settings.PII_ENCRYPTION_KEY, os.urandom(32)
    settings.PII_ENCRYPTION_KEY, settings.OLD_PII_ENCRYPTION_KEYS = new, [old]

    assert vault.read(user_id=1, field="payout_address") == VALUE
    assert keep(user_id=2).key_version == vault.key_version(new)

    settings.OLD_PII_ENCRYPTION_KEYS = []
    assert vault.read(user_id=2, field="payout_address") == VALUE
    with pytest.raises(vault.Unreadable, match="no key of version"):
        vault.read(user_id=1, field="payout_address")
