"""What others may ask of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from advertmarket.errors import Code, DomainError
from advertmarket.ton_address import friendly_address

from . import vault
from .models import Operator, PayoutAddress, Session, TelegramUser
from .tokens import InvalidToken, read_token

PAYOUT_ADDRESS = "payout_address"
"""The vault's field that holds the payout address."""

PROVED_ADDRESS = "proved_address"
"""The vault's field that holds the address that the user proved last, and when."""


class UserBlocked(DomainError):
    """An operator blocked this user."""

    code: ClassVar[Code] = Code.USER_BLOCKED
    message = _("This account is blocked; write to support.")


class UserDeleted(DomainError):
    """The user had everything deleted, and has not come back."""

    message = _("This account was deleted; /start begins a new one.")


class NoSuchUser(DomainError):
    """No user has this Telegram id."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no user {user_id}.")


class AddressCoolingDown(DomainError):
    """The payout address was changed a short time ago and may not be paid to before `until`."""

    message = _("The new payout address counts from {until}.")
    public_facts = ("until",)

    def __init__(self, until: datetime) -> None:
        super().__init__(until=until)
        self.until = until


@dataclass(frozen=True)
class UserView:
    """A Telegram user, for other apps."""

    id: int
    first_name: str
    username: str
    language: str
    is_blocked: bool
    is_reachable: bool


@dataclass(frozen=True)
class Destination:
    """Where money goes: a raw TON address and the comment that the recipient asked for."""

    address: str
    comment: str


@dataclass(frozen=True)
class AddressView:
    """Where a user's money is to go, and when the user proved to hold that address."""

    address: str
    comment: str
    proved_at: datetime | None

    @property
    def friendly(self) -> str:
        """The address in the form that wallets show."""
        return friendly_address(self.address, network=settings.TON_NETWORK)

    @property
    def proved(self) -> bool:
        """Whether its user proved it; otherwise it was typed by hand."""
        return self.proved_at is not None

    @property
    def warning(self) -> str:
        """What its user should know, in the active language; empty for a proved address."""
        if self.proved:
            return ""
        return gettext("Typed by hand, not proved: money sent to a wrong address is lost.")


@dataclass(frozen=True)
class GivenAddressView(AddressView):
    """An address that a user gave, and since when (or from when) it counts."""

    effective_at: datetime


@dataclass(frozen=True)
class Profile(UserView):
    """A user's own view of themselves."""

    payout_address: GivenAddressView | None


def authenticate(token: str, *, at: datetime) -> TelegramUser:
    """Return the user whose live session the token stands for.

    Raises:
        InvalidToken: not a token of ours, or its session is revoked, or its user deleted.
        TokenExpired: the session's time is over.
        UserBlocked: an operator blocked the user.
    """
    claims = read_token(token, at=at)
    session = Session.objects.select_related("user").filter(id=claims.session_id).first()
    if (
        session is None
        or session.user_id != claims.user_id
        or session.revoked_at is not None
        or session.user.deleted_at is not None
    ):
        raise InvalidToken
    if session.user.blocked_at is not None:
        raise UserBlocked
    return session.user


def check_may_act(user_id: int) -> None:
    """Let pass whom nothing keeps from using the product; strangers pass too.

    Raises:
        UserBlocked: an operator blocked the user.
        UserDeleted: the user was deleted and has not come back.
    """
    user = TelegramUser.objects.filter(id=user_id).first()
    if user is None:
        return
    if user.blocked_at is not None:
        raise UserBlocked
    if user.deleted_at is not None:
        raise UserDeleted


def get_user(user_id: int) -> UserView:
    """Return a user.

    Raises:
        NoSuchUser: nobody has this id.
    """
    user = TelegramUser.objects.filter(id=user_id).first()
    if user is None:
        raise NoSuchUser(user_id=user_id)
    return UserView(
        id=user.id,
        first_name=user.first_name,
        username=user.username,
        language=user.language,
        is_blocked=user.blocked_at is not None,
        is_reachable=user.unreachable_at is None,
    )


def get_profile(user_id: int) -> Profile:
    """Return what a user sees of themselves.

    Raises:
        NoSuchUser: nobody has this id.
    """
    return Profile(**vars(get_user(user_id)), payout_address=payout_address(user_id))


def payout_address(user_id: int) -> GivenAddressView | None:
    """Return the user's own view of the payout address, cooling down or not."""
    row = PayoutAddress.objects.filter(user_id=user_id).first()
    value = vault.read(user_id=user_id, field=PAYOUT_ADDRESS) if row else None
    if row is None or value is None:
        return None
    return GivenAddressView(**vars(address_view(value)), effective_at=row.effective_at)


def address_view(value: dict[str, Any]) -> AddressView:
    """Return an address as the vault holds it."""
    proved_at = value.get("proved_at")
    return AddressView(
        value["address"], value["comment"], proved_at and datetime.fromisoformat(proved_at)
    )


def payout_destination(*, user_id: int, at: datetime) -> Destination | None:
    """Return where the user's payouts go; None if no address was ever given.

    Raises:
        AddressCoolingDown: it was changed, and the new one does not count yet.
    """
    given = payout_address(user_id)
    if given is None:
        return None
    if at < given.effective_at:
        raise AddressCoolingDown(given.effective_at)
    return Destination(given.address, given.comment)


def stored_destination(*, user_id: int, field: str) -> Destination | None:
    """Return the address that `services.store_address` keeps in a field of the vault."""
    value = vault.read(user_id=user_id, field=field)
    return Destination(value["address"], value["comment"]) if value else None


@dataclass(frozen=True)
class OperatorView:
    """An operator, for other apps; `telegram_id` is where alarms go, if they said."""

    id: int
    username: str
    telegram_id: int | None
    language: str


def operator_of_chat(telegram_id: int) -> OperatorView | None:
    """Return the active operator whose Telegram account this is."""
    return _view_operator(Operator.objects.filter(telegram_id=telegram_id, is_active=True).first())


def get_operator(operator_id: int) -> OperatorView | None:
    """Return an active operator."""
    return _view_operator(Operator.objects.filter(pk=operator_id, is_active=True).first())


def operator_named(username: str) -> OperatorView | None:
    """Return the active operator of this name."""
    return _view_operator(Operator.objects.filter(username=username, is_active=True).first())


def operators_in_telegram() -> list[tuple[int, str]]:
    """Return the Telegram account and the language of every active operator who has one here."""
    linked = Operator.objects.filter(telegram_id__isnull=False, is_active=True).order_by("pk")
    return [(one.telegram_id, one.language) for one in linked if one.telegram_id]


def _view_operator(operator: Operator | None) -> OperatorView | None:
    if operator is None:
        return None
    return OperatorView(
        id=operator.pk,
        username=operator.username,
        telegram_id=operator.telegram_id,
        language=operator.language,
    )


def operator_may(operator_id: int, permission: str) -> bool:
    """Return whether an active operator has a permission, such as "payments.operate_money"."""
    operator = Operator.objects.filter(pk=operator_id, is_active=True).first()
    return operator is not None and operator.has_perm(permission)
