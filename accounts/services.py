"""What others may do to accounts. Every function wants the caller's database transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import constraints, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish
from advertmarket.ton_address import friendly_address, parse_address

from . import vault
from .events import PayoutAddressChanged, user_key
from .init_data import InitData, InvalidInitData, verify_init_data
from .models import Operator, PayoutAddress, Session, TelegramUser
from .selectors import (
    PAYOUT_ADDRESS,
    PROVED_ADDRESS,
    AddressView,
    NoSuchUser,
    UserBlocked,
    address_view,
)
from .tokens import Claims, issue_token, read_token

INIT_DATA_MAX_AGE = timedelta(seconds=300)
CLOCK_SKEW = timedelta(seconds=30)
MAX_COMMENT_BYTES = 120
"""Exchanges' memos are far shorter; this much fits beside the transfer in one message."""


class InitDataExpired(DomainError):
    """The launch data is too old, or the session that it began has ended."""

    code: ClassVar[Code] = Code.AUTH_INIT_DATA_EXPIRED
    message = _("This launch is too old; reopen the app from Telegram.")


class CommentTooLong(DomainError):
    """The comment does not fit into a transfer."""

    code: ClassVar[Code] = Code.INVALID_TON_ADDRESS
    message = _("The comment may have at most {limit} bytes in UTF-8.")


class AddressNotProved(DomainError):
    """The user neither proved to hold the address nor said that it was typed by hand."""

    code: ClassVar[Code] = Code.ADDRESS_NOT_PROVED
    message = _(
        "You have not proved that this address is yours. Connect its wallet (auth/ton-proof), or "
        "confirm that you typed it by hand (typedByHand): money sent to a wrong address is lost."
    )


class UnknownLanguage(DomainError):
    """The product does not speak this language."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("“{language}” is not a language of this product.")


class ChatTaken(DomainError):
    """The Telegram account is another operator's."""

    message = _("Telegram account {telegram_id} is another operator's.")


class NoSuchOperator(DomainError):
    """No operator has this name."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no operator {username}.")


class OperatorExists(DomainError):
    """An operator has this name."""

    message = _("There is an operator “{username}” already.")


@dataclass(frozen=True)
class Login:
    """A session's token, and how many seconds it still lives."""

    token: str
    expires_in_s: int
    user: TelegramUser


@requires_transaction
def log_in(*, init_data: str, at: datetime) -> Login:
    """Begin the session that this launch of the Mini App has, or go on with it.

    Launch data stays the same while the app is open, so a reload sends it again and gets the same
    session, until that expires or is revoked.

    Raises:
        InvalidInitData: Telegram did not sign it for our bot, or its clock is ahead of ours.
        InitDataExpired: it is older than 300 s and began no session, or its session has ended,
            or its user was deleted since.
        UserBlocked: an operator blocked the user.
    """
    launch = verify_init_data(init_data, bot_token=settings.TELEGRAM_BOT_TOKEN)
    if launch.signed_at > at + CLOCK_SKEW:
        raise InvalidInitData
    session = Session.objects.filter(init_data_digest=launch.digest).first()
    if session is None:
        session = _begin_session(launch, at)
    else:
        TelegramUser.objects.filter(id=session.user_id).update(seen_at=at)
    user = TelegramUser.objects.get(id=session.user_id)
    if user.blocked_at is not None:
        raise UserBlocked
    if session.revoked_at is not None or session.expires_at <= at or user.deleted_at is not None:
        raise InitDataExpired
    claims = Claims(session.id, user.id, session.created_at, session.expires_at)
    return Login(issue_token(claims), int((session.expires_at - at).total_seconds()), user)


def _begin_session(launch: InitData, at: datetime) -> Session:
    if launch.signed_at < at - INIT_DATA_MAX_AGE:
        raise InitDataExpired
    get_or_create_user(
        user_id=launch.user_id,
        first_name=launch.first_name,
        username=launch.username,
        language_code=launch.language_code,
        at=at,
    )
    begun_at = at.replace(microsecond=0)
    session, _created = Session.objects.get_or_create(
        init_data_digest=launch.digest,
        defaults={
            "id": uuid.uuid4(),
            "user_id": launch.user_id,
            "created_at": begun_at,
            "expires_at": begun_at + timedelta(seconds=settings.JWT_LIFETIME_S),
        },
    )
    return session


@requires_transaction
def log_out(*, token: str, at: datetime) -> None:
    """Revoke the token's session for good; revoking it again changes nothing.

    Raises:
        InvalidToken, TokenExpired: there is no session to end.
    """
    session_id = read_token(token, at=at).session_id
    Session.objects.filter(id=session_id, revoked_at=None).update(revoked_at=at)


@requires_transaction
def get_or_create_user(
    *, user_id: int, first_name: str, username: str, language_code: str, at: datetime
) -> TelegramUser:
    """Return the user, made or brought up to date with what Telegram says now.

    `language_code` is Telegram's; it decides the language of a new user only. Who was deleted and
    comes back begins anew.
    """
    user = TelegramUser(
        id=user_id,
        first_name=first_name[:128],
        username=username[:64],
        language="ru" if language_code.lower().startswith("ru") else "en",
        created_at=at,
        seen_at=at,
    )
    TelegramUser.objects.bulk_create(
        [user],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["first_name", "username", "seen_at", "deleted_at"],
    )
    return TelegramUser.objects.get(id=user_id)


@requires_transaction
def set_language(*, user_id: int, language: str, at: datetime) -> None:
    """Speak `language` ("ru" or "en") to the user from now on.

    Raises:
        UnknownLanguage: it is neither.
        NoSuchUser: nobody has this id.
    """
    if language not in dict(settings.LANGUAGES):
        raise UnknownLanguage(language=language)
    if not TelegramUser.objects.filter(id=user_id).update(language=language, seen_at=at):
        raise NoSuchUser(user_id=user_id)


@requires_transaction
def mark_unreachable(*, user_id: int, at: datetime) -> None:
    """Note that the bot may not write to the user (who blocked or deleted the chat)."""
    TelegramUser.objects.filter(id=user_id, unreachable_at=None).update(unreachable_at=at)


@requires_transaction
def mark_reachable(*, user_id: int) -> None:
    """Note that the bot may write to the user again."""
    TelegramUser.objects.filter(id=user_id).exclude(unreachable_at=None).update(unreachable_at=None)


@requires_transaction
def set_payout_address(
    *,
    user_id: int,
    address: str,
    comment: str = "",
    typed_by_hand: bool,
    actor: Actor,
    at: datetime,
) -> datetime:
    """Keep where the user's payouts go; return when it begins to count.

    `typed_by_hand`: the user knows that nothing proves the address.

    The first address counts at once. A changed one counts after PAYOUT_ADDRESS_COOL_DOWN_S, so
    that whoever stole a session cannot be paid before the owner heard of it. The same address
    again changes nothing, but that it may have been proved since.

    Raises:
        InvalidTonAddress: not an address of our network.
        CommentTooLong: over 120 bytes.
        AddressNotProved: neither proved nor `typed_by_hand`.
        NoSuchUser: nobody has this id.
    """
    _lock_user(user_id)
    before = vault.read(user_id=user_id, field=PAYOUT_ADDRESS)
    given = store_address(
        user_id=user_id,
        field=PAYOUT_ADDRESS,
        address=address,
        comment=comment,
        typed_by_hand=typed_by_hand,
        at=at,
    )
    row = PayoutAddress.objects.filter(user_id=user_id).first()
    if row and before and (before["address"], before["comment"]) == (given.address, given.comment):
        return row.effective_at
    cool_down_s = settings.PAYOUT_ADDRESS_COOL_DOWN_S if row else 0
    effective_at = at + timedelta(seconds=cool_down_s)
    PayoutAddress.objects.update_or_create(
        user_id=user_id, defaults={"changed_at": at, "effective_at": effective_at}
    )
    audit.record(
        actor=actor,
        action="set_payout_address",
        object_type="user",
        object_id=str(user_id),
        before=before and {"address": mask_address(before["address"])},
        after={
            "address": mask_address(given.address),
            "proved": given.proved,
            "effective_at": effective_at,
        },
        at=at,
    )
    publish(
        PayoutAddressChanged(
            deal_id=user_key(user_id),
            user_id=user_id,
            address=mask_address(given.address),
            proved=given.proved,
            effective_at=effective_at,
        ),
        key=f"user:{user_id}:payout-address:{at.isoformat()}",
        at=at,
    )
    return effective_at


@requires_transaction
def store_address(
    *, user_id: int, field: str, address: str, comment: str = "", typed_by_hand: bool, at: datetime
) -> AddressView:
    """Keep a TON address, its comment and when it was proved in a field of the vault; return them.

    Raises:
        InvalidTonAddress: not an address of our network.
        CommentTooLong: over 120 bytes.
        AddressNotProved: not the address that the user proved last, nor the field's own that was
            proved earlier, nor `typed_by_hand`.
    """
    if len(comment.encode()) > MAX_COMMENT_BYTES:
        raise CommentTooLong(limit=MAX_COMMENT_BYTES)
    raw = parse_address(address, network=settings.TON_NETWORK)
    proved_at = _proved_at(user_id, raw, field)
    if proved_at is None and not typed_by_hand:
        raise AddressNotProved
    value = {"address": raw, "comment": comment, "proved_at": proved_at}
    vault.keep(user_id=user_id, field=field, value=value, at=at)
    return address_view(value)


@requires_transaction
def block_user(*, user_id: int, actor: Actor, reason: str, at: datetime) -> None:
    """Refuse the user from the next request on; deals that run go on by themselves.

    Raises:
        NoSuchUser: nobody has this id.
    """
    user = _lock_user(user_id)
    if user.blocked_at is not None:
        return
    TelegramUser.objects.filter(id=user_id).update(blocked_at=at)
    audit.record(
        actor=actor,
        action="block_user",
        object_type="user",
        object_id=str(user_id),
        before={"blocked_at": None},
        after={"blocked_at": at},
        reason=reason,
        at=at,
    )


@requires_transaction
def create_operator(
    *, username: str, password: str, superuser: bool, actor: Actor, at: datetime
) -> int:
    """Create an operator who may sign in to the back office; return the primary key.

    Raises:
        OperatorExists: the name is taken.
    """
    with constraints({"operators_username_key": OperatorExists(username=username)}):
        operator = Operator.objects.create_user(
            username, password=password, is_staff=True, is_superuser=superuser, date_joined=at
        )
    audit.record(
        actor=actor,
        action="create_operator",
        object_type="operator",
        object_id=str(operator.pk),
        before=None,
        after={"username": username, "is_superuser": superuser},
        at=at,
    )
    return operator.pk


@requires_transaction
def link_operator(
    *, username: str, telegram_id: int, language: str, actor: Actor, at: datetime
) -> None:
    """Have an operator's alarms sent to a Telegram account, which may then command the bot.

    Raises:
        NoSuchOperator: nobody has this name.
        ChatTaken: the account is another operator's.
    """
    operator = Operator.objects.select_for_update().filter(username=username).first()
    if operator is None:
        raise NoSuchOperator(username=username)
    before = {"telegram_id": operator.telegram_id, "language": operator.language}
    operator.telegram_id, operator.language = telegram_id, language
    with constraints({"operators_telegram_id_key": ChatTaken(telegram_id=telegram_id)}):
        operator.save(update_fields=["telegram_id", "language"])
    audit.record(
        actor=actor,
        action="link_operator",
        object_type="operator",
        object_id=str(operator.pk),
        before=before,
        after={"telegram_id": telegram_id, "language": language},
        at=at,
    )


@requires_transaction
def forget_sessions(*, at: datetime) -> int:
    """Delete sessions that ended a day ago or more; their launch data is long too old."""
    deleted, _by_model = Session.objects.filter(expires_at__lt=at - timedelta(days=1)).delete()
    return deleted


def mask_address(raw: str) -> str:
    """Return a raw address so that its owner knows it and a reader of logs does not."""
    friendly = friendly_address(raw, network=settings.TON_NETWORK)
    return f"{friendly[:6]}…{friendly[-4:]}"


def _proved_at(user_id: int, raw: str, field: str) -> str | None:
    """When the user proved the address, if last, or if it is what the field holds."""
    for name in (PROVED_ADDRESS, field):
        value: dict[str, Any] = vault.read(user_id=user_id, field=name) or {}
        if value.get("address") == raw and value.get("proved_at"):
            return str(value["proved_at"])
    return None


def _lock_user(user_id: int) -> TelegramUser:
    user = TelegramUser.objects.select_for_update(no_key=True).filter(id=user_id).first()
    if user is None:
        raise NoSuchUser(user_id=user_id)
    return user
