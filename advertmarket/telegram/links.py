"""Links that work in every chat: into the Mini App, and for operators into the back office."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.urls import reverse


def app_link(parameter: str = "") -> str:
    """Return a link that opens the Mini App with this start parameter (`A-Za-z0-9_-`)."""
    return f"https://t.me/{settings.TELEGRAM_BOT_USERNAME}?startapp={parameter}"


def deal_link(deal_id: UUID) -> str:
    """Return a link that opens the Mini App at a deal."""
    return app_link(f"deal_{deal_id}")


def admin_link(table: str, pk: UUID | int) -> str:
    """Return the address of a row's page in the back office; `table` is "app_model"."""
    return settings.PUBLIC_URL + reverse(f"admin:{table}_change", args=[pk])
