"""The button under an alert; for anybody but an operator it does nothing."""

from __future__ import annotations

import datetime as dt
import html

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.selectors import operator_of_chat
from advertmarket.actors import Actor
from advertmarket.errors import DomainError
from advertmarket.telegram.dispatcher import callback, reply
from advertmarket.telegram.incoming import Incoming

from . import services
from .channels.telegram import ACKNOWLEDGE


def is_operator(user_id: int) -> bool:
    """Whether this is an operator's Telegram account: who may be woken may answer."""
    return operator_of_chat(user_id) is not None


@callback(ACKNOWLEDGE, only=is_operator)
def acknowledge(update: Incoming, *, at: dt.datetime) -> None:
    """An operator answers for an incident, and hears so in their own language."""
    assert update.user is not None  # a press always comes from someone
    operator = operator_of_chat(update.user.id)
    assert operator is not None  # by `only`
    with translation.override(operator.language):
        try:
            number = _number(update.callback_data)
            with transaction.atomic():
                services.acknowledge(incident_id=number, actor=Actor.operator(operator.id), at=at)
            text = _("Incident {number}: it is yours.").format(number=number)
        except DomainError as refusal:
            text = html.escape(str(refusal), quote=False)
        reply(update, text, at=at)


def _number(data: str) -> int:
    """The incident that the button stands under; anybody can send anything."""
    number = data.partition(":")[2]
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        raise services.NoSuchIncident(number=number)
    return int(number)
