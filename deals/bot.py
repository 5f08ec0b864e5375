"""Deals in Telegram: the list, and the buttons under notices."""

from __future__ import annotations

import html
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from advertmarket.actors import Actor
from advertmarket.money import format_ton
from advertmarket.telegram.callbacks import InvalidCallback, unpack
from advertmarket.telegram.content import Button
from advertmarket.telegram.dispatcher import callback, command, reply
from advertmarket.telegram.incoming import Incoming
from advertmarket.telegram.links import deal_link

from . import selectors, services
from .lifecycle import Action, Status
from .permissions import DealNotFound
from .selectors import DealView

_SHOWN = 10


@command("mydeals", description=gettext_lazy("Your deals"))
def show_deals(update: Incoming, *, at: datetime) -> None:
    """List the person's deals that are not over, with a button for each."""
    deals = selectors.active_deals(user_id=_actor_id(update), at_most=_SHOWN)
    if not deals:
        reply(update, _("You have no active deals."), at=at)
        return
    lines = [f"{number}. {_line(deal)}" for number, deal in enumerate(deals, start=1)]
    buttons = tuple(
        (Button(f"{number}. {deal.channel_title}", url=deal_link(deal.id)),)
        for number, deal in enumerate(deals, start=1)
    )
    reply(update, "\n".join(lines), buttons, at=at)


@callback("accept")
def accept(update: Incoming, *, at: datetime) -> None:
    """The owner's side accepts an offer."""
    _press(update, Action.ACCEPT, at)
    reply(update, _("Accepted. The advertiser is asked to pay."), at=at)


@callback("reject")
def reject(update: Incoming, *, at: datetime) -> None:
    """The owner's side says no."""
    _press(update, Action.REJECT, at)
    reply(update, _("Declined. The advertiser is told."), at=at)


@callback("approve")
def approve(update: Incoming, *, at: datetime) -> None:
    """The advertiser approves the ad."""
    _press(update, Action.APPROVE, at)
    reply(update, _("Approved. Exactly this will be posted."), at=at)


@callback("revise")
def revise(update: Incoming, *, at: datetime) -> None:
    """Lead the advertiser to where they can say what should be different."""
    deal = selectors.get_deal(_read(update)[0], actor=Actor.user(_actor_id(update)))
    button = Button(_("Open"), url=deal_link(deal.id))
    reply(update, _("Open the deal and say what should be different."), ((button,),), at=at)


def _press(update: Incoming, action: Action, at: datetime) -> None:
    deal_id, version = _read(update)
    services.press_button(
        deal_id=deal_id,
        version=version,
        action=action,
        actor=Actor.user(_actor_id(update)),
        at=at,
    )


def _read(update: Incoming) -> tuple[UUID, int]:
    try:
        pressed = unpack(update.callback_data)
    except InvalidCallback as error:
        raise DealNotFound from error
    return pressed.deal_id, pressed.version


def _actor_id(update: Incoming) -> int:
    assert update.user is not None  # a command or a press always comes from someone
    return update.user.id


def _line(deal: DealView) -> str:
    title = html.escape(deal.channel_title, quote=False)
    return f"<b>{title}</b>: {format_ton(deal.price_nano)} TON, {Status(deal.status).label}"
