"""Idempotency-Key: the same POST twice has one effect and one answer.

The answer is stored by the database transaction that has the effect, so both are there or neither.
An advisory lock, held until that commit, tells a second call that the first still runs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import connection
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError

from .callers import caller_of
from .models import IdempotentAnswer

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(hours=24)
MAX_LENGTH = 200


class KeyUsedOtherwise(DomainError):
    """The key came with another request within the last 24 hours."""

    code: ClassVar[Code] = Code.IDEMPOTENCY_CONFLICT
    message = _("This Idempotency-Key came with another request; use a new one.")


class StillRunning(DomainError):
    """The first call with this key has not finished."""

    code: ClassVar[Code] = Code.IDEMPOTENCY_IN_PROGRESS
    message = _("The first request with this Idempotency-Key is still running; ask again.")
    retry_after_s = 1


@dataclass(frozen=True)
class StoredAnswer:
    """A status and the JSON text of a body."""

    status: int
    body: str


@dataclass(frozen=True)
class IdempotencyKey:
    """A caller's key for one request; `fingerprint` tells whether the request is the same."""

    caller_id: int
    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, request: Request) -> IdempotencyKey | None:
        """Return the key in the request's header; None without one, or with nobody signed in.

        Raises:
            ValidationError: it is not 1 to 200 visible ASCII characters.
        """
        key = request.headers.get(HEADER)
        caller = caller_of(request)
        if key is None or caller is None:
            return None
        if not 0 < len(key) <= MAX_LENGTH or not (key.isascii() and key.isprintable()):
            raise ValidationError({HEADER: [_("1 to 200 visible ASCII characters.")]})
        what = [request.method, request.get_full_path(), request.data]
        canonical = json.dumps(what, sort_keys=True, separators=(",", ":"))
        return cls(caller.pk, key, hashlib.sha256(canonical.encode()).digest())

    def find_answer(self, *, at: datetime) -> StoredAnswer | None:
        """Return the answer that was given, or None.

        Raises:
            KeyUsedOtherwise: it was given to another request.
        """
        row = IdempotentAnswer.objects.filter(
            caller_id=self.caller_id, key=self.key, created_at__gt=at - KEPT_FOR
        ).first()
        if row is None:
            return None
        if bytes(row.fingerprint) != self.fingerprint:
            raise KeyUsedOtherwise
        return StoredAnswer(row.status, row.body)

    @requires_transaction
    def lock(self) -> None:
        """Take the key until the database transaction ends, without waiting.

        Raises:
            StillRunning: another call holds it.
        """
        name = hashlib.sha256(f"idempotency:{self.caller_id}:{self.key}".encode()).digest()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(%s)",
                [int.from_bytes(name[:8], "big", signed=True)],
            )
            row = cursor.fetchone()
        if row is None or not row[0]:
            raise StillRunning

    @requires_transaction
    def keep(self, answer: StoredAnswer, *, at: datetime) -> None:
        """Keep the answer for 24 hours, in place of an older one."""
        IdempotentAnswer.objects.update_or_create(
            caller_id=self.caller_id,
            key=self.key,
            defaults={
                "fingerprint": self.fingerprint,
                "status": answer.status,
                "body": answer.body,
                "created_at": at,
            },
        )


def forget_answers(*, at: datetime) -> int:
    """Delete the answers that are older than 24 hours; return how many."""
    return IdempotentAnswer.objects.filter(created_at__lte=at - KEPT_FOR).delete()[0]
