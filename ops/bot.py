"""What operators do through the bot; for anybody else none of it exists.

An operator is who linked this Telegram account (`manage.py link_operator`), is active and may act
on money.
"""

from __future__ import annotations

import datetime as dt
import html
import re

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.selectors import operators_in_telegram
from advertmarket.actors import Actor
from advertmarket.errors import DomainError
from advertmarket.reasons import stated
from advertmarket.telegram import inbox
from advertmarket.telegram.content import Button
from advertmarket.telegram.dispatcher import callback, command, menus, reply
from advertmarket.telegram.incoming import Incoming
from advertmarket.telegram.outgoing import say
from payments.operations import requests
from payments.selectors import PauseState, pause_state
from payments.sending.pause import NotPaused, watch_pause

from . import questions
from .incidents import bot as incidents_bot
from .models import OperatorQuestion
from .operators import for_operator, may_act_on_money, operator_of

__all__ = ["incidents_bot"]

BUTTON_LIVES_FOR = dt.timedelta(minutes=5)
_RESUME = "resume"
_PRESSED = re.compile(rf"{_RESUME}:([0-9]{{1,18}}):([0-9]{{1,18}})", re.ASCII)


class ButtonExpired(DomainError):
    """Too much may have happened since the button was shown."""

    message = gettext_lazy("This button has expired: write /resume again.")


@menus
def operators_chats() -> dict[int, str]:
    """Return the chats where these commands are in the menu."""
    return {chat: language for chat, language in operators_in_telegram() if may_act_on_money(chat)}


@command("status", description=gettext_lazy("What needs a person"), only=may_act_on_money)
@for_operator
def tell_status(update: Incoming, *, at: dt.datetime) -> None:
    """Say what needs a person, a moment later."""
    _ask(update, OperatorQuestion.What.STATUS, at)


@command(
    "reconcile", description=gettext_lazy("Run the checks of the books"), only=may_act_on_money
)
@for_operator
def reconcile(update: Incoming, *, at: dt.datetime) -> None:
    """Have the checks run, and say what they found when they are done."""
    _ask(update, OperatorQuestion.What.RECONCILE, at)
    reply(update, _("The checks of the books are running; what they find follows."), at=at)


@command(
    "pause", description=gettext_lazy("Stop all payouts: /pause REASON"), only=may_act_on_money
)
@for_operator
def pause(update: Incoming, *, at: dt.datetime) -> None:
    """Stop every broadcast of money."""
    requests.ask(
        name="payouts.pause",
        payload={},
        reason=update.argument,
        actor=_actor(update),
        at=at,
    )
    reply(update, _("Payouts are paused: nothing is signed or sent any more."), at=at)


@command(
    "resume", description=gettext_lazy("Let payouts run: /resume REASON"), only=may_act_on_money
)
@for_operator
def ask_to_resume(update: Incoming, *, at: dt.datetime) -> None:
    """Show what would be lifted, and a button that lifts it."""
    stated(update.argument)
    watch_pause(at)  # what somebody just did in Redis is a pause, too
    state = pause_state()
    if not state.paused:
        raise NotPaused
    data = f"{_RESUME}:{update.update_id}:{state.number}"
    button = Button(_("Resume payouts"), callback_data=data)
    reply(update, _described(state), ((button,),), at=at)


@callback(_RESUME, only=may_act_on_money)
@for_operator
def resume(update: Incoming, *, at: dt.datetime) -> None:
    """Lift the pause that was shown, for the reason that was written."""
    asked, number = _asked(update, at)
    request = requests.ask(
        name="payouts.resume",
        payload={"pause": number},
        reason=asked.argument,
        actor=_actor(update),
        at=at,
    )
    if request.needs_second:
        text = _("A second operator decides: manage.py operate approve {request}")
        reply(update, text.format(request=request.pk), at=at)
    else:
        _say_what_came_of_it(update.chat_id)


def _ask(update: Incoming, what: OperatorQuestion.What, at: dt.datetime) -> None:
    questions.ask(what=what, operator=operator_of(update), chat_id=update.chat_id, at=at)


def _asked(update: Incoming, at: dt.datetime) -> tuple[Incoming, int]:
    """Return the command that the pressed button stands under, and the number of the pause.

    Raises:
        ButtonExpired: it is too old, or not this person's: anybody can send anything.
    """
    pressed = _PRESSED.fullmatch(update.callback_data)
    found = inbox.find(int(pressed[1])) if pressed else None
    if pressed is None or found is None:
        raise ButtonExpired
    asked, came_at = found
    is_theirs = asked.command == _RESUME and asked.chat_id == update.chat_id
    if not is_theirs or at - came_at > BUTTON_LIVES_FOR:
        raise ButtonExpired
    return asked, int(pressed[2])


def _say_what_came_of_it(chat_id: int) -> None:
    """Once Redis was told, which is after the commit, say whether payouts run."""
    language = translation.get_language()

    def tell() -> None:
        with translation.override(language), transaction.atomic():
            state = pause_state()
            text = _described(state) if state.paused else _("Payouts run again.")
            say(chat_id=chat_id, text=text, at=timezone.now())

    transaction.on_commit(tell)


def _described(state: PauseState) -> str:
    lines = [_("Payouts are paused: {reason}.").format(reason="; ".join(state.reasons))]
    if state.at is not None:
        by = _("By {who}, {when} UTC: {why}")
        lines.append(by.format(who=state.by, when=f"{state.at:%Y-%m-%d %H:%M}", why=state.why))
    if state.takes_two:
        lines.append(_("The platform paused by itself: two operators resume."))
    return html.escape("\n".join(lines), quote=False)


def _actor(update: Incoming) -> Actor:
    return Actor.operator(operator_of(update).id)
