"""Health over HTTP: a word for everybody, figures for operators."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotInTime

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from ops import draining
from ops.beside import begin
from ops.own_connection import on_own_connection

from .checks import CHECKS
from .probes import LIMIT_S, Answer, Probes

logger = logging.getLogger(__name__)

probes = Probes(CHECKS)

_ASKED_AT_ONCE = 4
"""So many look at the same time who asks; strangers may try to keep PostgreSQL busy with it."""

_asking = threading.BoundedSemaphore(_ASKED_AT_ONCE)


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Whether the service works: 503 DOWN without database, Redis or Kafka, or OUT_OF_SERVICE."""
    return _answer("db", "redis", "kafka")


@require_safe
def readiness(request: HttpRequest) -> JsonResponse:
    """Whether this process may get requests: what health wants, and the database's migrations."""
    return _answer("db", "redis", "kafka", "migrations")


@require_safe
def liveness(request: HttpRequest) -> JsonResponse:
    """Whether this process answers at all."""
    return _status("UP")


@require_safe
def info(request: HttpRequest) -> JsonResponse:
    """What runs here."""
    return JsonResponse(settings.BUILD)


def component(name: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view of one check, with its figures, for those who may enter the back office.

    Whoever may not gets 401. If nobody can tell within 2 s, PostgreSQL is away: 503, no figures.
    """

    @require_safe
    def view(request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        try:
            if not _is_operator(request):
                return HttpResponse(status=401, headers={"WWW-Authenticate": "Session"})
        except Exception as problem:
            logger.warning("nobody can tell who asks for %s: %r", name, problem)
            return _status("DOWN")
        left_s = max(0.0, LIMIT_S - (time.monotonic() - started))
        return _told(probes.ask([name], limit_s=left_s)[name])

    return view


def _is_operator(request: HttpRequest) -> bool:
    """Whether the session is one of the back office, asked beside the pool.

    Raises:
        Exception: PostgreSQL does not tell, or not in time.
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    if not _asking.acquire(blocking=False):
        raise NotInTime
    look = on_own_connection(lambda: admin.site.has_permission(request), limit_s=LIMIT_S)
    asked = begin(look, name="who asks for health")
    asked.add_done_callback(lambda _: _asking.release())
    return asked.result(LIMIT_S)


def _told(answer: Answer) -> JsonResponse:
    details = {"problem": answer.problem, **answer.details} if answer.problem else answer.details
    return _status("DOWN" if answer.problem else "UP", details=details)


def _answer(*names: str) -> JsonResponse:
    if draining.is_draining():
        return _status("OUT_OF_SERVICE")
    failed = probes.failures(names)
    if failed:
        logger.warning("not healthy", extra={"failed": failed})
    return _status("DOWN" if failed else "UP")


def _status(status: str, **more: object) -> JsonResponse:
    """Answer to the letter: probes and people compare the text."""
    return JsonResponse(
        {"status": status, **more},
        status=200 if status == "UP" else 503,
        json_dumps_params={"separators": (",", ":")},
        headers={"Cache-Control": "no-store"},
    )
