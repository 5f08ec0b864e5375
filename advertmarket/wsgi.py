"""The WSGI entry point of the `web` role.

Telegram's webhook takes a short way to its view: it needs no session, no language, no policy for
pages, and a busy bot calls it more often than everything else together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.middleware.security import SecurityMiddleware
from django.urls import reverse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "advertmarket.settings")

_everything = get_wsgi_application()

from advertmarket import db_pool  # noqa: E402 - wants settings
from advertmarket.middleware import correlation_middleware  # noqa: E402 - wants settings


class _WebhookHandler(WSGIHandler):
    """Django without its middleware, but for the correlation id, the log line and security."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Set the chain that every request passes."""
        super().load_middleware(is_async)
        view: Any = convert_exception_to_response(
            self._get_response  # type: ignore[attr-defined]  # the stubs leave it out
        )
        secured: Any = convert_exception_to_response(SecurityMiddleware(view))
        self._middleware_chain = correlation_middleware(secured)


db_pool.watch()  # a worker's own: it is loaded here, after the fork
_webhook = _WebhookHandler()
_webhook_path = reverse("telegram-webhook")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    handler = _webhook if environ["PATH_INFO"] == _webhook_path else _everything
    return handler(environ, start_response)
