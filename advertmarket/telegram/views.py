"""The webhook: prove that it is Telegram, keep the update, answer."""

from __future__ import annotations

import hmac
import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from . import inbox
from .metrics import WEBHOOK_CALLS, WEBHOOK_DURATION_S

logger = logging.getLogger(__name__)
security_logger = logging.getLogger("advertmarket.security")

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Keep an update of Telegram's: 200 settles it, anything else has it sent again.

    403 without the secret that `register_webhook` gave (or the one before it, while rotating).
    """
    status = 500
    try:
        with WEBHOOK_DURATION_S.time():
            status = _take(request)
    finally:
        WEBHOOK_CALLS.labels(status).inc()
    return HttpResponse(status=status, headers={"Content-Length": 0})


def _take(request: HttpRequest) -> int:
    if not _is_telegram(request.headers.get(SECRET_HEADER, "")):
        security_logger.warning("the webhook was called without its secret")
        return 403
    try:
        inbox.store(request.body, at=timezone.now())
    except inbox.NotAnUpdate as error:
        logger.warning("the webhook was sent something else: %s", error)
        return 400
    return 200


def _is_telegram(given: str) -> bool:
    secrets = [settings.TELEGRAM_WEBHOOK_SECRET, *settings.OLD_TELEGRAM_WEBHOOK_SECRETS]
    matches = [hmac.compare_digest(given.encode(), secret.encode()) for secret in secrets if secret]
    return any(matches)
