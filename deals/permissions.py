"""Every rule about who may do what with a deal. Views, bot and admin ask here, and check nothing.

Roles come from the relation to the deal at hand, never from a column on the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.errors import Code, DomainError
from channels import selectors as channels
from channels.selectors import Right

from .lifecycle import TRANSITIONS, Action, Role, Transition
from .models import Deal, Side

_ROLE_OF_RIGHT = {Right.MODERATE: Role.MODERATOR, Right.PUBLISH: Role.PUBLISHER}
_ROLE_OF_SIDE = {Side.ADVERTISER: Role.ADVERTISER, Side.OWNER: Role.MODERATOR}


class DealNotFound(DomainError):
    """There is no such deal, or the caller has no part in it: nobody learns which."""

    code: ClassVar[Code] = Code.DEAL_NOT_FOUND
    message = _("There is no such deal.")


class NotAllowed(DomainError):
    """The caller has a part in the deal, but this is for the other side."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("This is not yours to do in this deal.")


Rights = Mapping[int, frozenset[Right]]
"""A person's rights by channel, where they were read for many deals at once."""


def roles_of(actor: Actor, deal: Deal, rights: Rights | None = None) -> frozenset[Role]:
    """Return what someone is to a deal."""
    if actor.kind == "system":
        return frozenset({Role.SYSTEM})
    if actor.kind == "operator":
        return frozenset({Role.OPERATOR})
    roles = {Role.ADVERTISER} if int(actor.id) == deal.advertiser_id else set()
    if rights is None:
        rights = channels.rights_in(user_id=int(actor.id), channel_ids=[deal.channel_id])
    theirs = rights[deal.channel_id]
    return frozenset(roles | {role for right, role in _ROLE_OF_RIGHT.items() if right in theirs})


def kind_of(actor: str, deal: Deal) -> str:
    """Return who an actor that history names was to the deal, for its people to read."""
    kind, _separator, actor_id = actor.partition(":")
    if kind != "user":
        return kind
    return Side.ADVERTISER if int(actor_id) == deal.advertiser_id else Side.OWNER


def visible_to(user_id: int) -> Q:
    """Return the condition of deals that a person may see: a draft is the advertiser's alone."""
    theirs = channels.channels_of(user_id=user_id)
    return Q(advertiser_id=user_id) | Q(channel_id__in=theirs, submitted_at__isnull=False)


def check_visible(actor: Actor, deal: Deal) -> None:
    """Refuse a person who has no part in the deal.

    Raises:
        DealNotFound: to them there is none.
    """
    if actor.kind != "user" or int(actor.id) == deal.advertiser_id:
        return
    rights = channels.rights_of(user_id=int(actor.id), channel_id=deal.channel_id)
    if Right.VIEW_DEALS not in rights or deal.submitted_at is None:
        raise DealNotFound


def check_advertiser(actor: Actor, deal: Deal) -> None:
    """Refuse everyone but the advertiser: where and how to pay is theirs alone.

    Raises:
        DealNotFound, NotAllowed: someone else.
    """
    check_visible(actor, deal)
    if Role.ADVERTISER not in roles_of(actor, deal):
        raise NotAllowed


def actions_of(actor: Actor, deal: Deal, rights: Rights | None = None) -> tuple[Action, ...]:
    """Return what someone may do with the deal as it stands."""
    if deal.held_at is not None:
        return ()
    roles = roles_of(actor, deal, rights)
    lines = [line for line in TRANSITIONS if line.source == deal.status and line.role in roles]
    return tuple(dict.fromkeys(line.action for line in lines if _is_open(line, deal)))


def sides_of(actor: Actor, deal: Deal) -> frozenset[Side]:
    """Return the sides of the deal that someone may speak for."""
    roles = roles_of(actor, deal)
    return frozenset(side for side, role in _ROLE_OF_SIDE.items() if role in roles)


def _is_open(line: Transition, deal: Deal) -> bool:
    """Tell whether nothing beside the status keeps this action from its role now."""
    asked_by = deal.cancel_asked_by
    if line.action == Action.ASK_TO_CANCEL:
        return not asked_by
    if line.action == Action.AGREE_TO_CANCEL:
        return bool(asked_by) and line.role != _ROLE_OF_SIDE[Side(asked_by)]
    return True
