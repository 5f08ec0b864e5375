"""What the bot does for anyone: greet, help, speak the person's language, know who is there."""

from __future__ import annotations

import re
from datetime import datetime

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from advertmarket.telegram.content import Button, Rows
from advertmarket.telegram.dispatcher import (
    callback,
    command,
    commands,
    gate,
    language_source,
    on,
    reply,
)
from advertmarket.telegram.incoming import Incoming
from advertmarket.telegram.links import app_link
from advertmarket.telegram.outgoing import when_unreachable

from . import services
from .models import TelegramUser
from .selectors import NoSuchUser, UserDeleted, check_may_act, get_user

_DEEP_LINK = re.compile(r"(?:deal|channel)_[A-Za-z0-9_-]{1,59}", re.ASCII)
_LANGUAGES: Rows = (
    (
        Button("Русский", callback_data="language:ru"),
        Button("English", callback_data="language:en"),
    ),
)


@command("start", description=gettext_lazy("Begin"))
def start(update: Incoming, *, at: datetime) -> None:
    """Greet; a deep link "deal_…" or "channel_…" leads on to its place in the app."""
    user = _known(update, at)
    services.mark_reachable(user_id=user.id)
    if _DEEP_LINK.fullmatch(update.argument):
        reply(update, _("Here you are:"), _open_app(update.argument), at=at)
    else:
        text = _(
            "Advertisers and channels meet here. The price of an ad is held in escrow until the "
            "post has been up as agreed."
        )
        reply(update, text, _open_app(), at=at)


@command("help", description=gettext_lazy("What I can do"))
def show_help(update: Incoming, *, at: datetime) -> None:
    """List the commands."""
    assert update.user is not None  # a private message always comes from someone
    known = commands(update.user.id)
    lines = [f"/{name} — {description}" for name, description in known.items()]
    reply(update, "\n".join(lines), _open_app(), at=at)


@command("language", description=gettext_lazy("Choose the language"))
def ask_language(update: Incoming, *, at: datetime) -> None:
    """Offer the languages."""
    _known(update, at)
    reply(update, _("Which language shall I speak?"), _LANGUAGES, at=at)


@callback("language")
def choose_language(update: Incoming, *, at: datetime) -> None:
    """Speak the chosen language from now on."""
    language = update.callback_data.partition(":")[2]
    services.set_language(user_id=_known(update, at).id, language=language, at=at)
    with translation.override(language):
        reply(update, _("From now on I speak English."), at=at)


@on("message")
def refuse_unknown_command(update: Incoming, *, at: datetime) -> None:
    """Show the commands to whoever tries another."""
    if update.command:
        show_help(update, at=at)


@on("my_chat_member")
def note_reachability(update: Incoming, *, at: datetime) -> None:
    """Remember whether the person lets the bot write to them."""
    if not update.is_private:
        return
    if update.status == "kicked":
        services.mark_unreachable(user_id=update.chat_id, at=at)
    else:
        services.mark_reachable(user_id=update.chat_id)


@when_unreachable
def note_unreachable(user_id: int, *, at: datetime) -> None:
    """Remember that Telegram refused a message to the person."""
    services.mark_unreachable(user_id=user_id, at=at)


@gate
def refuse_barred(update: Incoming) -> None:
    """Refuse who is blocked; who was deleted may only begin anew."""
    assert update.user is not None  # a command or a press always comes from someone
    try:
        check_may_act(update.user.id)
    except UserDeleted:
        if update.command != "start":
            raise


@language_source
def language_of(user_id: int) -> str | None:
    """Return the language that a known person chose."""
    try:
        return get_user(user_id).language
    except NoSuchUser:
        return None


def _known(update: Incoming, at: datetime) -> TelegramUser:
    person = update.user
    assert person is not None  # a private message or a press always comes from someone
    return services.get_or_create_user(
        user_id=person.id,
        first_name=person.first_name,
        username=person.username,
        language_code=person.language_code,
        at=at,
    )


def _open_app(parameter: str = "") -> Rows:
    return ((Button(_("Open advertmarket"), url=app_link(parameter)),),)
