"""The button under an alert; for anybody but an operator who may act on money it does nothing."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from advertmarket.actors import Actor
from advertmarket.telegram.dispatcher import callback, reply
from advertmarket.telegram.incoming import Incoming
from ops.operators import for_operator, may_act_on_money, operator_of

from . import services
from .channels.telegram import ACKNOWLEDGE


@callback(ACKNOWLEDGE, only=may_act_on_money)
@for_operator
def acknowledge(update: Incoming, *, at: dt.datetime) -> None:
    """An operator answers for an incident, and hears so in their own language."""
    number = _number(update.callback_data)
    services.acknowledge(incident_id=number, actor=Actor.operator(operator_of(update).id), at=at)
    reply(update, _("Incident {number}: it is yours.").format(number=number), at=at)


def _number(data: str) -> int:
    """The incident that the button stands under; anybody can send anything."""
    number = data.partition(":")[2]
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        raise services.NoSuchIncident(number=number)
    return int(number)
