"""One deal, lived by two people through public doors only: Telegram, REST, and the chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from uuid import UUID

from sandbox.telegram.control import Telegram
from sandbox.ton.control import Chain
from sandbox.ton.wallets import Wallet

from .api import POLL_S, ApiUser, TookTooLong
from .stack import Stack

ADVERTISER, OWNER = 100_001, 100_002
PRICE_NANO = 50_000_000_000
COMPLETED = "COMPLETED_RELEASED"
AD_TEXT = "Fresh coffee, roasted this morning. Order at example.com"


@dataclass(frozen=True)
class Step:
    """What happened: who did what, and how the deal and the money stand now (nanoTON)."""

    who: str
    what: str
    status: str
    books: dict[str, int] = field(default_factory=dict)
    deal_wallet_nano: int = 0
    owner_nano: int = 0


class Story:
    """The deal of Anna, who advertises coffee, and Oleg, who owns a channel.

    `steps` lives it; after the last one the deal is completed and Oleg's wallet holds his share.
    """

    def __init__(self, stack: Stack, *, patience_s: float = 120) -> None:
        self._telegram = Telegram(stack.telegram_url)
        self._chain = Chain(stack.ton_url)
        self._stack = stack
        self._patience_s = patience_s
        self.advertiser_wallet = Wallet("anna, the advertiser")
        self.owner_wallet = Wallet("oleg, the channel's owner", version="v4r2")
        self.deal_id: UUID | None = None
        self.channel_id = 0
        self._address = ""
        self._people: list[ApiUser] = []

    def steps(self) -> Iterator[Step]:
        """Live the deal; each step is yielded once its effect can be seen."""
        self._meet()
        yield self._step("Telegram", "Anna and Oleg start the bot; Oleg makes it an administrator")
        self._log_in()
        yield self._step("Anna, Oleg", "log in to the Mini App with Telegram's initData")
        self._register_channel()
        yield self._step("Oleg", "registers the channel, lists a price, sets a payout address")
        self._offer()
        yield self._step("Anna", "offers 50 TON for a post")
        self._press_accept()
        yield self._step("Oleg", "presses “Accept” in Telegram; the deal gets its own TON address")
        self._pay()
        yield self._step("Anna", "gives a refund address and pays 50 TON on chain")
        self._wait_for_status("FUNDED")
        yield self._step("system", "saw the deposit in a block and booked it into escrow")
        self._oleg.post(f"/deals/{self.deal_id}/creative", self._draft())
        yield self._step("Oleg", "submits the ad")
        self._anna.post(f"/deals/{self.deal_id}/creative/approve")
        yield self._step("Anna", "approves it")
        self._oleg.post(f"/deals/{self.deal_id}/publish")
        self._wait_for_status("PUBLISHED", "DELIVERY_VERIFYING")
        yield self._step("system", "the bot posted the ad to the channel")
        self._wait_for_status("DELIVERY_VERIFIED", COMPLETED)
        yield self._step("system", "verified the ad over the retention time and released escrow")
        self._wait_for_status(COMPLETED)
        yield self._step("system", "the owner's wallet received the payout on chain")

    @property
    def payout_tx(self) -> str:
        """The hash of the chain transaction that paid Oleg."""
        escrow = self._anna.get(f"/deals/{self.deal_id}/escrow")
        return str(escrow["payout"]["txHash"])

    @property
    def status(self) -> str:
        """The deal's state, as the API tells Anna."""
        return str(self._anna.get(f"/deals/{self.deal_id}")["status"]) if self.deal_id else "—"

    def owner_received_nano(self) -> int:
        """What the chain itself says that Oleg holds."""
        return self._chain.balance(self.owner_wallet.raw_address)

    def deal_wallet_nano(self) -> int:
        """What the chain itself says that the deal's address holds."""
        return self._chain.balance(self._address) if self._address else 0

    def __enter__(self) -> Story:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._telegram.close()
        self._chain.close()
        for person in self._people:
            person.close()

    def _meet(self) -> None:
        self._telegram.create_user(ADVERTISER, "Anna", username="anna_ads", language_code="en")
        self._telegram.create_user(OWNER, "Oleg", username="oleg_owner", language_code="ru")
        self.channel_id = self._telegram.create_channel(
            "Morning City", creator_id=OWNER, username="morning_city", subscribers=12_000
        )
        self._telegram.add_bot(self.channel_id, by=OWNER)
        for person in (ADVERTISER, OWNER):
            self._telegram.start(person)
        self._chain.faucet(self.advertiser_wallet.address, 2 * PRICE_NANO)

    def _log_in(self) -> None:
        web = self._stack.web_url
        self._anna = ApiUser(web, self._telegram.init_data(ADVERTISER))
        self._people.append(self._anna)
        self._oleg = ApiUser(web, self._telegram.init_data(OWNER))
        self._people.append(self._oleg)

    def _register_channel(self) -> None:
        self._oleg.post("/channels", {"chat": "@morning_city", "topic": "city", "language": "en"})
        self._oleg.post(
            f"/channels/{self.channel_id}/pricing",
            {"format": "STANDARD", "priceNano": str(PRICE_NANO)},
        )
        self._oleg.put(
            "/profile/payout-address",
            {"address": self.owner_wallet.raw_address, "typedByHand": True},
        )

    def _offer(self) -> None:
        deal = self._anna.post(
            "/deals",
            {
                "channelId": self.channel_id,
                "format": "STANDARD",
                "priceNano": str(PRICE_NANO),
                "brief": {"text": "Tell them about our fresh coffee.", "tone": "CASUAL"},
            },
        )
        self.deal_id = UUID(deal["id"])
        self._anna.post(f"/deals/{self.deal_id}/submit")

    def _press_accept(self) -> None:
        offer = self._until(self._offer_message, "the offer in Oleg's chat")
        self._telegram.press(OWNER, offer, "Принять")
        self._wait_for_status("AWAITING_PAYMENT")

    def _offer_message(self) -> int | None:
        for message in reversed(self._telegram.messages(OWNER)):
            rows = message.get("reply_markup", {}).get("inline_keyboard", [])
            if any(button["text"] == "Принять" for row in rows for button in row):
                return int(message["message_id"])
        return None

    def _pay(self) -> None:
        self._anna.put(
            f"/deals/{self.deal_id}/refund-address",
            {"address": self.advertiser_wallet.raw_address, "typedByHand": True},
        )
        deposit = self._anna.get(f"/deals/{self.deal_id}/deposit")
        self._address = deposit["address"]
        self.advertiser_wallet.send(self._stack.ton_url, self._address, int(deposit["amountNano"]))

    def _draft(self) -> dict[str, object]:
        return {
            "text": AD_TEXT,
            "buttons": [{"label": "Order", "url": "https://example.com/coffee"}],
        }

    def _wait_for_status(self, *statuses: str) -> None:
        self._anna.wait_for(
            f"/deals/{self.deal_id}",
            lambda deal: deal["status"] in statuses,
            what=" or ".join(statuses),
            timeout_s=self._patience_s,
        )

    def _until(self, find: Callable[[], int | None], what: str) -> int:
        deadline = time.monotonic() + self._patience_s
        while (found := find()) is None:
            if time.monotonic() > deadline:
                raise TookTooLong(what)
            time.sleep(POLL_S)
        return found

    def _step(self, who: str, what: str) -> Step:
        books: dict[str, int] = {}
        if self._address:
            escrow = self._anna.get(f"/deals/{self.deal_id}/escrow")
            books = {name: int(nano) for name, nano in escrow["balances"].items() if int(nano)}
        return Step(
            who=who,
            what=what,
            status=self.status,
            books=books,
            deal_wallet_nano=self.deal_wallet_nano(),
            owner_nano=self.owner_received_nano(),
        )
