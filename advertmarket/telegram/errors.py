"""What can go wrong with a call to the Bot API, and what is known about its effect then."""

from __future__ import annotations

from typing import ClassVar


class TelegramError(Exception):
    """A call that did not succeed.

    `code` is the Bot API's error code (0: no answer), `description` its text as it came.
    `permanent`: the same call will not succeed by itself. `took_effect` is False where Telegram
    certainly did nothing, None where nobody knows.
    """

    permanent: ClassVar[bool] = True
    took_effect: ClassVar[bool | None] = False

    def __init__(self, description: str, *, code: int, retry_after_s: float = 0) -> None:
        super().__init__(description)
        self.description = description
        self.code = code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.code} {self.description}" if self.code else self.description


class BadRequest(TelegramError):
    """400 and the like: this call can never succeed as it is."""


class Forbidden(TelegramError):
    """403: the bot may not do this in that chat."""

    _BY_THE_USER = (
        "bot was blocked by the user",
        "user is deactivated",
        "bot can't initiate conversation with a user",
    )

    @property
    def user_is_unreachable(self) -> bool:
        """Whether a person's chat is closed to the bot until they open it again."""
        return any(text in self.description for text in self._BY_THE_USER)


class Unauthorized(TelegramError):
    """401: the bot's token is refused, so that no call can succeed; ask after `retry_after_s`."""


class TooManyRequests(TelegramError):
    """429, or one of our own limits: nothing was sent; try again after `retry_after_s`."""

    permanent: ClassVar[bool] = False


class NotOurTurn(TooManyRequests):
    """Our own limits, or a pause that Telegram asked for: Telegram was not asked."""


class TelegramAway(TelegramError):
    """A time-out, a lost connection, a 5xx: the call may have taken effect all the same."""

    permanent: ClassVar[bool] = False
    took_effect: ClassVar[bool | None] = None


class TelegramNotReached(TelegramAway):
    """There was no connection: the call was never sent."""

    took_effect: ClassVar[bool | None] = False
