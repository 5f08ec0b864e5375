"""The one root of refusals that interfaces catch, and the catalogue of their codes."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Code(StrEnum):
    """Every error code that a client may meet; each has its HTTP status and title below."""

    AUTH_INIT_DATA_INVALID = "AUTH_INIT_DATA_INVALID"
    AUTH_INIT_DATA_EXPIRED = "AUTH_INIT_DATA_EXPIRED"
    AUTH_INVALID_TOKEN = "AUTH_INVALID_TOKEN"  # noqa: S105 - a code's name
    AUTH_TOKEN_EXPIRED = "AUTH_TOKEN_EXPIRED"  # noqa: S105 - a code's name
    AUTH_INSUFFICIENT_PERMISSIONS = "AUTH_INSUFFICIENT_PERMISSIONS"
    USER_BLOCKED = "USER_BLOCKED"
    DEAL_NOT_FOUND = "DEAL_NOT_FOUND"
    INVALID_STATE_TRANSITION = "INVALID_STATE_TRANSITION"
    DEAL_DEADLINE_EXPIRED = "DEAL_DEADLINE_EXPIRED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    REFUND_ADDRESS_REQUIRED = "REFUND_ADDRESS_REQUIRED"
    CHANNEL_NOT_FOUND = "CHANNEL_NOT_FOUND"
    CHANNEL_ALREADY_REGISTERED = "CHANNEL_ALREADY_REGISTERED"
    CHANNEL_BOT_NOT_ADMIN = "CHANNEL_BOT_NOT_ADMIN"
    CHANNEL_BOT_INSUFFICIENT_RIGHTS = "CHANNEL_BOT_INSUFFICIENT_RIGHTS"
    CHANNEL_USER_NOT_ADMIN = "CHANNEL_USER_NOT_ADMIN"
    CHANNEL_INACCESSIBLE = "CHANNEL_INACCESSIBLE"
    CREATIVE_INVALID = "CREATIVE_INVALID"
    DISPUTE_ALREADY_EXISTS = "DISPUTE_ALREADY_EXISTS"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    INVALID_TON_ADDRESS = "INVALID_TON_ADDRESS"
    ADDRESS_NOT_PROVED = "ADDRESS_NOT_PROVED"
    TON_PROOF_INVALID = "TON_PROOF_INVALID"
    TON_PROOF_EXPIRED = "TON_PROOF_EXPIRED"
    PAYOUTS_PAUSED = "PAYOUTS_PAUSED"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    CURSOR_INVALID = "CURSOR_INVALID"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    CONFLICT = "CONFLICT"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"


_S = HTTPStatus
CATALOGUE: dict[Code, tuple[HTTPStatus, Promise]] = {
    Code.AUTH_INIT_DATA_INVALID: (_S.UNAUTHORIZED, _("Telegram launch data is not valid")),
    Code.AUTH_INIT_DATA_EXPIRED: (_S.UNAUTHORIZED, _("Reopen the app from Telegram")),
    Code.AUTH_INVALID_TOKEN: (_S.UNAUTHORIZED, _("The access token is not valid")),
    Code.AUTH_TOKEN_EXPIRED: (_S.UNAUTHORIZED, _("The access token has expired")),
    Code.AUTH_INSUFFICIENT_PERMISSIONS: (_S.FORBIDDEN, _("You are not allowed to do this")),
    Code.USER_BLOCKED: (_S.FORBIDDEN, _("This account is blocked")),
    Code.DEAL_NOT_FOUND: (_S.NOT_FOUND, _("No such deal")),
    Code.INVALID_STATE_TRANSITION: (_S.CONFLICT, _("The deal is not in a state for this")),
    Code.DEAL_DEADLINE_EXPIRED: (_S.CONFLICT, _("The deadline has passed")),
    Code.LIMIT_EXCEEDED: (_S.CONFLICT, _("A limit is reached")),
    Code.REFUND_ADDRESS_REQUIRED: (_S.CONFLICT, _("A refund address is needed first")),
    Code.CHANNEL_NOT_FOUND: (_S.NOT_FOUND, _("No such channel")),
    Code.CHANNEL_ALREADY_REGISTERED: (_S.CONFLICT, _("This channel is registered already")),
    Code.CHANNEL_BOT_NOT_ADMIN: (_S.CONFLICT, _("The bot is not an administrator there")),
    Code.CHANNEL_BOT_INSUFFICIENT_RIGHTS: (_S.CONFLICT, _("The bot lacks rights there")),
    Code.CHANNEL_USER_NOT_ADMIN: (_S.FORBIDDEN, _("You do not administer this channel")),
    Code.CHANNEL_INACCESSIBLE: (_S.CONFLICT, _("The channel cannot be reached or used")),
    Code.CREATIVE_INVALID: (_S.UNPROCESSABLE_ENTITY, _("The draft breaks a rule")),
    Code.DISPUTE_ALREADY_EXISTS: (_S.CONFLICT, _("There is a dispute already")),
    Code.INSUFFICIENT_BALANCE: (_S.CONFLICT, _("Not enough money there")),
    Code.INVALID_TON_ADDRESS: (_S.UNPROCESSABLE_ENTITY, _("Not a usable TON address")),
    Code.ADDRESS_NOT_PROVED: (_S.CONFLICT, _("The address is not proved")),
    Code.TON_PROOF_INVALID: (_S.UNPROCESSABLE_ENTITY, _("The wallet's proof is not valid")),
    Code.TON_PROOF_EXPIRED: (_S.CONFLICT, _("The proof's time is over, or it was used")),
    Code.PAYOUTS_PAUSED: (_S.SERVICE_UNAVAILABLE, _("Payouts are paused")),
    Code.IDEMPOTENCY_CONFLICT: (
        _S.UNPROCESSABLE_ENTITY,
        _("This idempotency key was used for something else"),
    ),
    Code.IDEMPOTENCY_IN_PROGRESS: (_S.CONFLICT, _("The same request is still running")),
    Code.VALIDATION_FAILED: (_S.BAD_REQUEST, _("The request is malformed")),
    Code.CURSOR_INVALID: (_S.BAD_REQUEST, _("The page cursor is not valid")),
    Code.NOT_FOUND: (_S.NOT_FOUND, _("Not found")),
    Code.METHOD_NOT_ALLOWED: (_S.METHOD_NOT_ALLOWED, _("Method not allowed")),
    Code.UNSUPPORTED_MEDIA_TYPE: (_S.UNSUPPORTED_MEDIA_TYPE, _("The body must be JSON")),
    Code.CONFLICT: (_S.CONFLICT, _("This conflicts with the present state")),
    Code.RATE_LIMIT_EXCEEDED: (_S.TOO_MANY_REQUESTS, _("Too many requests")),
    Code.SERVICE_UNAVAILABLE: (_S.SERVICE_UNAVAILABLE, _("A needed service is away")),
    Code.INTERNAL_ERROR: (_S.INTERNAL_SERVER_ERROR, _("Something broke on our side")),
}


class DomainError(Exception):
    """An anticipated refusal: the caller can act on it, and it never pages anyone.

    A subclass names its `code` and a `message` for the person, whose {placeholders} are filled
    from the facts given to the constructor. `public_facts` go out as members of the problem
    document, in camelCase.
    """

    code: ClassVar[Code] = Code.CONFLICT
    message: ClassVar[Promise | str] = _("This is not possible now.")
    public_facts: ClassVar[tuple[str, ...]] = ()
    retry_after_s: ClassVar[int | None] = None

    def __init__(self, **facts: object) -> None:
        super().__init__(*facts.values())
        self.facts = facts

    def __str__(self) -> str:
        return str(self.message).format_map(self.facts)

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of this error's code."""
        return CATALOGUE[self.code][0]

    @property
    def title(self) -> str:
        """The code's title, in the active language."""
        return str(CATALOGUE[self.code][1])
