"""Links into the Mini App that work in every chat."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings


def app_link(parameter: str = "") -> str:
    """Return a link that opens the Mini App with this start parameter (`A-Za-z0-9_-`)."""
    return f"https://t.me/{settings.TELEGRAM_BOT_USERNAME}?startapp={parameter}"


def deal_link(deal_id: UUID) -> str:
    """Return a link that opens the Mini App at a deal."""
    return app_link(f"deal_{deal_id}")
