"""Operators in Telegram: who they are, what they may, and how the bot speaks with them."""

from __future__ import annotations

import datetime as dt
import functools
import html

from django.db import transaction
from django.utils import translation

from accounts.selectors import OperatorView, operator_may, operator_of_chat
from advertmarket.errors import DomainError
from advertmarket.telegram.dispatcher import Handler, reply
from advertmarket.telegram.incoming import Incoming
from payments.operations import requests

PERMISSION = requests.OPERATE


def may_act_on_money(user_id: int) -> bool:
    """Whether this is the Telegram account of an active operator who may act on money."""
    operator = operator_of_chat(user_id)
    return operator is not None and operator_may(operator.id, PERMISSION)


def operator_of(update: Incoming) -> OperatorView:
    """Return who wrote or pressed, behind `may_act_on_money`."""
    assert update.user is not None  # a command or a press always comes from someone
    operator = operator_of_chat(update.user.id)
    assert operator is not None  # by `only`
    return operator


def for_operator(handler: Handler) -> Handler:
    """Speak the operator's language, refusals included; what a refused handler did is undone."""

    @functools.wraps(handler)
    def handle(update: Incoming, /, *, at: dt.datetime) -> None:
        with translation.override(operator_of(update).language):
            try:
                with transaction.atomic():
                    handler(update, at=at)
            except DomainError as refusal:
                reply(update, html.escape(str(refusal), quote=False), at=at)

    return handle
