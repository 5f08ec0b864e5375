"""Alerts by HTTP: one POST of JSON, signed if there is a secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

import httpx
from django.conf import settings

from . import NotDelivered

LIMIT_S = 10.0
SIGNATURE = "X-Alert-Signature"


def deliver(payload: Mapping[str, object]) -> None:
    """Post it to ALERT_HOOK_URL.

    Raises:
        NotDelivered: it did not answer 2xx.
    """
    body = json.dumps(payload, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    if settings.ALERT_HOOK_SECRET:
        headers[SIGNATURE] = f"sha256={_digest(body)}"
    try:
        answer = httpx.post(
            settings.ALERT_HOOK_URL,
            content=body,
            headers=headers,
            timeout=LIMIT_S,
            trust_env=False,
        )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    except httpx.HTTPError as error:
        raise NotDelivered(f"{type(error).__name__}: {error}", perhaps_sent=True) from error
    if not answer.is_success:
        raise NotDelivered(f"HTTP {answer.status_code}")


def _digest(body: bytes) -> str:
    return hmac.new(settings.ALERT_HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
