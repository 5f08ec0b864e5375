"""What the Bot API says of the webhook."""

from __future__ import annotations


def webhook(**more: object) -> dict[str, object]:
    info = {"url": "https://x/hook", "has_custom_certificate": False, "pending_update_count": 3}
    return info | more
