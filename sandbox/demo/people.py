"""Who is in the demo, and the channel that they meet about."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from sandbox.telegram.control import Telegram
from sandbox.ton.control import Chain
from sandbox.ton.wallets import Version, Wallet

from .api import POLL_S, ApiUser, TookTooLong
from .stack import Stack

PRICE_NANO = 50_000_000_000

T = TypeVar("T")


class Person:
    """Somebody with Telegram and a TON wallet; `api` works from `Market.log_in` on."""

    api: ApiUser

    def __init__(
        self,
        user_id: int,
        name: str,
        username: str,
        *,
        language: str = "en",
        version: Version = "v3r2",
    ) -> None:
        self.user_id, self.name, self.username, self.language = user_id, name, username, language
        self.wallet = Wallet(f"{username} of the demo", version=version)


class Market:
    """Oleg's channel, and those who advertise in it: everything through public doors."""

    def __init__(self, stack: Stack, *, patience_s: float = 120) -> None:
        self.stack = stack
        self.patience_s = patience_s
        self.telegram = Telegram(stack.telegram_url)
        self.chain = Chain(stack.ton_url)
        self.anna = Person(100_001, "Anna", "anna_ads")
        self.oleg = Person(100_002, "Oleg", "oleg_owner", language="ru", version="v4r2")
        self.channel_id = 0
        self._channel = ""
        self._sessions: list[ApiUser] = []

    def __enter__(self) -> Market:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.telegram.close()
        self.chain.close()
        for session in self._sessions:
            session.close()

    def join(self, *people: Person) -> None:
        """They have Telegram, and start the bot."""
        for person in people:
            self.telegram.create_user(
                person.user_id,
                person.name,
                username=person.username,
                language_code=person.language,
            )
            self.telegram.start(person.user_id)

    def open(self) -> None:
        """Anna and Oleg have the bot and the Mini App."""
        self.join(self.anna, self.oleg)
        self.log_in(self.anna, self.oleg)
        self.give_payout_address()

    def give_money(self, person: Person) -> None:
        """Somebody's wallet gets twice the price."""
        self.chain.faucet(person.wallet.address, 2 * PRICE_NANO)

    def log_in(self, *people: Person) -> None:
        """They open the Mini App."""
        for person in people:
            person.api = ApiUser(self.stack.web_url, self.telegram.init_data(person.user_id))
            self._sessions.append(person.api)

    def open_channel(self, username: str = "morning_city") -> None:
        """Oleg has one more channel, with the bot as administrator."""
        self._channel = f"@{username}"
        self.channel_id = self.telegram.create_channel(
            "Morning City",
            creator_id=self.oleg.user_id,
            username=username,
            subscribers=12_000,
        )
        self.telegram.add_bot(self.channel_id, by=self.oleg.user_id)

    def list_channel(self) -> None:
        """Oleg registers the channel, and says what a post costs."""
        oleg = self.oleg.api
        oleg.post("/channels", {"chat": self._channel, "topic": "city", "language": "en"})
        oleg.post(
            f"/channels/{self.channel_id}/pricing",
            {"format": "STANDARD", "priceNano": str(PRICE_NANO)},
        )

    def give_payout_address(self) -> None:
        """Oleg says where he is paid."""
        self.oleg.api.put(
            "/profile/payout-address",
            {"address": self.oleg.wallet.raw_address, "typedByHand": True},
        )

    def holds_nano(self, person: Person) -> int:
        """What the chain itself says that somebody's wallet holds."""
        return self.chain.balance(person.wallet.raw_address)

    def until(self, find: Callable[[], T | None], what: str) -> T:
        """Look again until `find` finds something.

        Raises:
            TookTooLong: it did not, in time.
        """
        deadline = time.monotonic() + self.patience_s
        while (found := find()) is None:
            if time.monotonic() > deadline:
                raise TookTooLong(what)
            time.sleep(POLL_S)
        return found
