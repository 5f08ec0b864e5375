"""The door for operators: ask for an operation and, where it needs a second person, approve it.

Who asks, what exactly, why and when is stored with its digest; only that, unchanged, is carried
out, by another person, within the hour. Everything done is in the audit log.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from accounts.selectors import operator_may
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import hold_name, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.reasons import stated
from payments.models import OperatorRequest

from .registry import FourEyes, Operation, Payload, all_operations, find

LIVES_FOR = dt.timedelta(hours=1)
_NOT_REACHED = "default_factory_not_called"
"""What pydantic says of a default that needs a field which is wrong itself."""

OPERATE, APPROVE = "payments.operate_money", "payments.approve_money"
_DAY = dt.timedelta(days=1)


class NotPermitted(DomainError):
    """Only an active operator with the right permission may do this."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("You may not do this.")


class UnknownOperation(DomainError):
    """There is no such operation, or it is asked for with the wrong details."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("This cannot be asked for: {problem}.")


class NeedsAnotherPerson(DomainError):
    """Whoever asked for it cannot approve it as well."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("A second person must decide about this.")


class RequestNotOpen(DomainError):
    """The request was decided, has expired, or is not the one that was asked for."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("This request is not open any more: {problem}.")


def look(name: str, payload: Mapping[str, Any]) -> Any:
    """Ask the chain what the operation has to know. Uses the network; before `ask` and `approve`.

    Raises:
        UnknownOperation: the name or the payload is wrong.
        DomainError: what the chain shows does not allow it, or it cannot be asked.
    """
    operation, parsed = _parse(name, payload)
    return operation.look(parsed) if operation.look else None


def look_again(request_id: UUID) -> Any:
    """Ask the chain what a request has to know before it is approved. Uses the network.

    Raises:
        RequestNotOpen: there is no such request.
        DomainError: as `look`.
    """
    request = OperatorRequest.objects.filter(pk=request_id).first()
    if request is None:
        raise RequestNotOpen(problem=_("there is none"))
    return look(request.action, request.payload)


def open_requests(*, at: dt.datetime) -> list[OperatorRequest]:
    """Return what waits for a second person, oldest first."""
    pending = OperatorRequest.objects.filter(state=OperatorRequest.State.PENDING)
    return list(pending.filter(expires_at__gte=at).order_by("requested_at"))


@requires_transaction
def ask(
    *,
    name: str,
    payload: Mapping[str, Any],
    reason: str,
    actor: Actor,
    at: dt.datetime,
    evidence: Any = None,
) -> OperatorRequest:
    """Do what an operator asks for, or keep it for a second person; return the request.

    Raises:
        NotPermitted, UnknownOperation, ReasonMissing: it is refused, and nothing was done.
        DomainError: what its payload's `check`, or the operation itself, refuses.
    """
    operation, parsed = _parse(name, payload)
    operator_id = _check(actor, OPERATE)
    why = stated(reason)
    parsed.check()
    hold_name(f"operator {operator_id}")  # what two windows do at once counts together
    request = OperatorRequest(
        action=name,
        payload=parsed.model_dump(mode="json"),
        digest=_digest(name, parsed),
        amount_nano=parsed.amount_nano(),
        reason=why,
        needs_second=_needs_second(operation, parsed, operator_id, at),
        requested_by=operator_id,
        requested_at=at,
        expires_at=at + LIVES_FOR,
    )
    if request.needs_second:
        request.save()
        _audit(request, parsed, "asked", actor, at)
    else:
        _carry_out(request, operation, parsed, evidence, operator_id, actor, at)
    return request


@requires_transaction
def approve(
    *, request_id: UUID, actor: Actor, at: dt.datetime, evidence: Any = None
) -> OperatorRequest:
    """Let a second person agree, and do exactly what was asked for.

    Raises:
        NotPermitted, NeedsAnotherPerson: not by this person.
        RequestNotOpen: decided, expired, or changed since it was asked for.
        DomainError: what the operation itself refuses; the request stays open.
    """
    operator_id = _check(actor, APPROVE)
    request = _lock_open(request_id, operator_id, at)
    if not operator_may(request.requested_by, OPERATE):
        raise RequestNotOpen(problem=_("whoever asked may not do this any more"))
    operation, parsed = _parse(request.action, request.payload)
    if _digest(request.action, parsed) != request.digest:
        raise RequestNotOpen(problem=_("it was changed"))
    _carry_out(request, operation, parsed, evidence, operator_id, actor, at)
    return request


@requires_transaction
def reject(*, request_id: UUID, actor: Actor, at: dt.datetime) -> OperatorRequest:
    """Refuse what another person asked for.

    Raises:
        NotPermitted, NeedsAnotherPerson: not by this person.
        RequestNotOpen: decided or expired.
    """
    operator_id = _check(actor, APPROVE)
    request = _lock_open(request_id, operator_id, at)
    request.state, request.decided_by, request.decided_at = request.State.REJECTED, operator_id, at
    request.save()
    _audit(request, _parse(request.action, request.payload)[1], "rejected", actor, at)
    return request


def _carry_out(
    request: OperatorRequest,
    operation: Operation,
    parsed: Payload,
    evidence: Any,
    decided_by: int,
    actor: Actor,
    at: dt.datetime,
) -> None:
    operation.do(parsed, evidence=evidence, reason=request.reason, actor=actor, at=at)
    request.state, request.decided_by, request.decided_at = request.State.DONE, decided_by, at
    request.save()
    _audit(request, parsed, "done", actor, at)


def _parse(name: str, payload: Mapping[str, Any]) -> tuple[Operation, Payload]:
    try:
        operation = find(name)
        return operation, operation.payload.model_validate(dict(payload))
    except KeyError as unknown:
        raise UnknownOperation(problem=name) from unknown
    except ValidationError as invalid:
        wrong = [
            str(error["loc"][0])
            for error in invalid.errors()
            if error["loc"] and error["type"] != _NOT_REACHED
        ]
        raise UnknownOperation(problem=f"{name}: {', '.join(wrong)}") from invalid


def _check(actor: Actor, permission: str) -> int:
    if actor.kind != "operator" or not operator_may(int(actor.id), permission):
        raise NotPermitted
    return int(actor.id)


def _needs_second(operation: Operation, parsed: Payload, operator_id: int, at: dt.datetime) -> bool:
    if operation.four_eyes is FourEyes.AFTER_ALARM:
        return parsed.needs_second()
    if operation.four_eyes is not FourEyes.ABOVE_LIMIT:
        return operation.four_eyes is FourEyes.ALWAYS
    limited = [one.name for one in all_operations() if one.four_eyes is FourEyes.ABOVE_LIMIT]
    alone = OperatorRequest.objects.filter(
        action__in=limited,
        requested_by=operator_id,
        needs_second=False,
        state=OperatorRequest.State.DONE,
        requested_at__gt=at - _DAY,
    ).aggregate(sum=Sum("amount_nano"))["sum"]
    limits = settings.OPERATOR_LIMITS_NANO
    amount = parsed.amount_nano()
    return amount > limits["operation"] or amount + (alone or 0) > limits["day"]


def _lock_open(request_id: UUID, operator_id: int, at: dt.datetime) -> OperatorRequest:
    request = OperatorRequest.objects.select_for_update(no_key=True).filter(pk=request_id).first()
    if request is None:
        raise RequestNotOpen(problem=_("there is none"))
    if request.state != OperatorRequest.State.PENDING:
        raise RequestNotOpen(problem=_("it was decided"))
    if at > request.expires_at:
        raise RequestNotOpen(problem=_("its hour is over; ask again"))
    if request.requested_by == operator_id:
        raise NeedsAnotherPerson
    return request


def _digest(name: str, parsed: Payload) -> str:
    content = json.dumps([name, parsed.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _audit(
    request: OperatorRequest, parsed: Payload, what: str, actor: Actor, at: dt.datetime
) -> None:
    audit.record(
        actor=actor,
        action=f"{request.action}.{what}",
        object_type="operator_request",
        object_id=str(request.pk),
        before=None,
        after={"payload": parsed.masked(), "amount_nano": request.amount_nano},
        reason=request.reason,
        at=at,
    )
