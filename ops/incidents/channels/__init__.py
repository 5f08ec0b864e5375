"""How an alert reaches people: Telegram, an HTTP hook, mail. Each needs none of the others."""

from __future__ import annotations

import datetime as dt


class NotDelivered(Exception):
    """An alert did not go out.

    `permanent`: it never will as it is. `perhaps_sent`: it may have arrived all the same.
    `retry_after`: when the channel wants to be asked again.
    """

    def __init__(
        self,
        problem: str,
        *,
        permanent: bool = False,
        perhaps_sent: bool = False,
        retry_after: dt.timedelta | None = None,
    ) -> None:
        super().__init__(problem)
        self.permanent, self.perhaps_sent = permanent, perhaps_sent
        self.retry_after = retry_after
