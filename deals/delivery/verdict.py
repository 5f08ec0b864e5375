"""From what Telegram answered to what it means. Pure; the table is the one of docs/delivery.md."""

from __future__ import annotations

from enum import StrEnum

from advertmarket.telegram.errors import BadRequest, Forbidden, TelegramError

from .content import Difference


class Answer(StrEnum):
    """What a probe learned of one message."""

    NOT_ASKED = "NOT_ASKED"
    EXISTS = "EXISTS"
    RESTORED = "RESTORED"
    SAME = "SAME"
    SLIGHTLY_CHANGED = "SLIGHTLY_CHANGED"
    CHANGED = "CHANGED"
    NOT_FOUND = "NOT_FOUND"
    UNKNOWN = "UNKNOWN"
    UNREACHABLE = "UNREACHABLE"
    API_ERROR = "API_ERROR"


class Verdict(StrEnum):
    """What a look at the post says; the worst of its messages counts."""

    EDITED = "EDITED"
    DELETED = "DELETED"
    CHANNEL_PRIVATE = "CHANNEL_PRIVATE"
    CHANNEL_UNREACHABLE = "CHANNEL_UNREACHABLE"
    EDITED_SLIGHTLY = "EDITED_SLIGHTLY"
    API_ERROR = "API_ERROR"
    SUSPECTED = "SUSPECTED"
    UNKNOWN = "UNKNOWN"
    PASSED = "PASSED"


_BY_TEXT = (
    ("message is not modified", Answer.EXISTS),
    ("message to edit not found", Answer.NOT_FOUND),
    ("message to forward not found", Answer.NOT_FOUND),
    ("MESSAGE_ID_INVALID", Answer.NOT_FOUND),
    ("message can't be edited", Answer.UNKNOWN),
    ("message has protected content and can't be forwarded", Answer.UNKNOWN),
    ("chat not found", Answer.UNREACHABLE),
    ("need administrator rights in the channel chat", Answer.UNREACHABLE),
    ("have no write access to the chat", Answer.UNREACHABLE),
)

_BY_DIFFERENCE = {
    Difference.SAME: Answer.SAME,
    Difference.SLIGHT: Answer.SLIGHTLY_CHANGED,
    Difference.CHANGED: Answer.CHANGED,
}


def read_refusal(error: TelegramError) -> Answer:
    """Return what a refused call says of the post; whatever is not known is API_ERROR."""
    if isinstance(error, Forbidden):
        return Answer.UNREACHABLE
    if isinstance(error, BadRequest):
        for text, answer in _BY_TEXT:
            if text in error.description:
                return answer
    return Answer.API_ERROR


def read_difference(difference: Difference) -> Answer:
    """Return what a comparison says of the post."""
    return _BY_DIFFERENCE[difference]


def conclude(
    *, forward: Answer, markup: Answer, was_suspected: bool, bot_is_admin: bool | None
) -> Verdict:
    """Return the verdict on one message from both probes.

    `was_suspected`: a look some minutes ago did not find it. `bot_is_admin`: whether the bot is
    still administrator of the channel; None where Telegram would not say.
    """
    answers = {forward, markup}
    if answers & {Answer.RESTORED, Answer.CHANGED}:
        return Verdict.EDITED
    if Answer.SLIGHTLY_CHANGED in answers:
        return Verdict.EDITED_SLIGHTLY
    if Answer.UNREACHABLE in answers:
        return Verdict.CHANNEL_UNREACHABLE if bot_is_admin is False else Verdict.API_ERROR
    if Answer.API_ERROR in answers:
        return Verdict.API_ERROR
    if Answer.NOT_FOUND in answers:
        return _conclude_missing(answers, was_suspected, bot_is_admin)
    return Verdict.PASSED if forward is Answer.SAME else Verdict.UNKNOWN


def _conclude_missing(
    answers: set[Answer], was_suspected: bool, bot_is_admin: bool | None
) -> Verdict:
    if bot_is_admin is None:
        return Verdict.API_ERROR
    if not bot_is_admin:
        return Verdict.CHANNEL_UNREACHABLE
    if not was_suspected:
        return Verdict.SUSPECTED
    return Verdict.DELETED if answers == {Answer.NOT_FOUND} else Verdict.UNKNOWN


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict on a post from those on its messages."""
    return min(verdicts, key=list(Verdict).index)
