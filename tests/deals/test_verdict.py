"""The table of verdicts, by the letter of docs/delivery.md."""

from __future__ import annotations

import pytest

from advertmarket.telegram.errors import (
    BadRequest,
    Forbidden,
    TelegramAway,
    TelegramError,
    TooManyRequests,
    Unauthorized,
)
from deals.delivery.verdict import Answer, Verdict, conclude, read_refusal, worst

A, V = Answer, Verdict


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (
            BadRequest(
                "Bad Request: message is not modified: specified new message content and reply "
                "markup are exactly the same as a current content and reply markup of the message",
                code=400,
            ),
            A.EXISTS,
        ),
        (BadRequest("Bad Request: message to edit not found", code=400), A.NOT_FOUND),
        (BadRequest("Bad Request: message to forward not found", code=400), A.NOT_FOUND),
        (BadRequest("Bad Request: MESSAGE_ID_INVALID", code=400), A.NOT_FOUND),
        (BadRequest("Bad Request: message can't be edited", code=400), A.UNKNOWN),
        (
            BadRequest(
                "Bad Request: message has protected content and can't be forwarded", code=400
            ),
            A.UNKNOWN,
        ),
        (BadRequest("Bad Request: chat not found", code=400), A.UNREACHABLE),
        (
            BadRequest("Bad Request: need administrator rights in the channel chat", code=400),
            A.UNREACHABLE,
        ),
        (BadRequest("Bad Request: have no write access to the chat", code=400), A.UNREACHABLE),
        (Forbidden("Forbidden: bot was kicked from the channel chat", code=403), A.UNREACHABLE),
        (BadRequest("Bad Request: something new", code=400), A.API_ERROR),
        (TooManyRequests("Too Many Requests: retry after 5", code=429), A.API_ERROR),
        (TelegramAway("no answer in time", code=0), A.API_ERROR),
        (TelegramAway("Bad Gateway", code=502), A.API_ERROR),
        (Unauthorized("Unauthorized", code=401), A.API_ERROR),
    ],
)
def test_what_a_refusal_says(error: TelegramError, answer: Answer) -> None:
    assert read_refusal(error) is answer


@pytest.mark.parametrize(
    ("forward", "markup", "was_suspected", "bot_is_admin", "verdict"),
    [
        (A.SAME, A.NOT_ASKED, False, None, V.PASSED),
        (A.SAME, A.NOT_ASKED, True, None, V.PASSED),
        (A.CHANGED, A.NOT_ASKED, False, None, V.EDITED),
        (A.SLIGHTLY_CHANGED, A.NOT_ASKED, False, None, V.EDITED_SLIGHTLY),
        (A.UNKNOWN, A.RESTORED, False, None, V.EDITED),
        (A.API_ERROR, A.RESTORED, False, None, V.EDITED),
        (A.UNKNOWN, A.EXISTS, False, None, V.UNKNOWN),
        (A.UNKNOWN, A.UNKNOWN, False, None, V.UNKNOWN),
        (A.NOT_FOUND, A.NOT_FOUND, False, True, V.SUSPECTED),
        (A.NOT_FOUND, A.NOT_FOUND, True, True, V.DELETED),
        (A.NOT_FOUND, A.NOT_FOUND, True, False, V.CHANNEL_UNREACHABLE),
        (A.NOT_FOUND, A.NOT_FOUND, False, False, V.CHANNEL_UNREACHABLE),
        (A.NOT_FOUND, A.NOT_FOUND, True, None, V.API_ERROR),
        (A.NOT_FOUND, A.EXISTS, False, True, V.SUSPECTED),
        (A.NOT_FOUND, A.EXISTS, True, True, V.UNKNOWN),
        (A.NOT_FOUND, A.API_ERROR, True, True, V.API_ERROR),
        (A.UNREACHABLE, A.UNREACHABLE, False, False, V.CHANNEL_UNREACHABLE),
        (A.UNREACHABLE, A.EXISTS, False, True, V.API_ERROR),
        (A.UNREACHABLE, A.UNREACHABLE, False, None, V.API_ERROR),
        (A.API_ERROR, A.EXISTS, False, None, V.API_ERROR),
        (A.API_ERROR, A.API_ERROR, True, None, V.API_ERROR),
    ],
)
def test_what_both_probes_say(
    forward: Answer,
    markup: Answer,
    was_suspected: bool,
    bot_is_admin: bool | None,
    verdict: Verdict,
) -> None:
    found = conclude(
        forward=forward, markup=markup, was_suspected=was_suspected, bot_is_admin=bot_is_admin
    )
    assert found is verdict


def test_the_worst_message_of_a_post_counts() -> None:
    assert worst([V.PASSED, V.DELETED, V.PASSED]) is V.DELETED
    assert worst([V.SUSPECTED, V.EDITED]) is V.EDITED
    assert worst([V.PASSED, V.API_ERROR]) is V.API_ERROR
    assert worst([V.PASSED, V.PASSED]) is V.PASSED
