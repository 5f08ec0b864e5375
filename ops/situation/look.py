"""Asking for everything, on one snapshot of the database; what fails is told, and the rest too."""

from __future__ import annotations

import datetime as dt
import logging

from django.db import DatabaseError, connection, transaction
from django.utils.translation import gettext as _

from ops.beside import begin
from ops.own_connection import on_own_connection

from . import money, services, watch, work
from .section import Section, Tell

logger = logging.getLogger(__name__)

QUERY_S, ALL_S = 5, 10
"""So long may one question to PostgreSQL take, and so long all of them."""

_SECTIONS: tuple[Tell, ...] = (
    money.tell_pause,
    watch.tell_incidents,
    watch.tell_reconciliation,
    money.tell_money,
    money.tell_stuck,
    money.tell_stopped,
    money.tell_frozen,
    money.tell_reviews,
    money.tell_unclaimed,
    money.tell_requests,
    work.tell_disputes,
    work.tell_held_deals,
    work.tell_undelivered,
    work.tell_failed_events,
    work.tell_dead_letters,
    work.tell_updates,
    watch.tell_chain,
)


def situation(*, at: dt.datetime) -> list[Section]:
    """Return all that can be told, of the money first and of the services last, in 10 s at most.

    Without PostgreSQL that is the services alone. Nothing of it uses the caller's connection.
    """
    look = on_own_connection(lambda: _of_the_database(at), limit_s=QUERY_S)
    told = begin(look, name="situation")
    services_told = services.tell_services()
    try:
        return [*told.result(ALL_S), *services_told]
    except (DatabaseError, TimeoutError) as away:
        return [Section("PostgreSQL", _away(away), needs_person=True), *services_told]


def _of_the_database(at: dt.datetime) -> list[Section]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        told = [_tell(tell, at) for tell in _SECTIONS]
    return [section for section in told if section is not None]


def _tell(tell: Tell, at: dt.datetime) -> Section | None:
    try:
        with transaction.atomic():
            return tell(at)
    except DatabaseError as error:
        logger.warning("%s: %s", tell.__name__, error)
        name = tell.__name__.removeprefix("tell_").replace("_", " ")
        return Section(name, _away(error), needs_person=True)


def _away(error: Exception) -> str:
    problem = (str(error) or type(error).__name__).splitlines()[0]
    return _("cannot be told: {problem}").format(problem=problem)
