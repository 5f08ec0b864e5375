"""A deal as its two sides live it, and how it and its money stand after each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from .people import PRICE_NANO, Market, Person

AD_TEXT = "Fresh coffee, roasted this morning. Order at example.com"


@dataclass(frozen=True)
class Step:
    """What happened: who did what, and how the deal and the money stand now (nanoTON)."""

    who: str
    what: str
    status: str
    books: dict[str, int] = field(default_factory=dict)
    deal_wallet_nano: int = 0
    advertiser_nano: int = 0
    owner_nano: int = 0


class Deal:
    """A deal between an advertiser and Oleg; each method returns once its effect can be seen.

    `address` is where to pay, once `give_refund_address` was told it.
    """

    def __init__(self, market: Market, advertiser: Person) -> None:
        self.id: UUID | None = None
        self._market = market
        self.advertiser, self._owner = advertiser, market.oleg
        self.address = ""

    @property
    def status(self) -> str:
        """The deal's state, as the API tells the advertiser."""
        return str(self.ask()["status"]) if self.id else "—"

    @property
    def wallet_nano(self) -> int:
        """What the chain itself says that the deal's address holds."""
        return self._market.chain.balance(self.address) if self.address else 0

    def step(self, who: str, what: str) -> Step:
        """Tell what happened, and look how everything stands now."""
        books: dict[str, int] = {}
        if self.address:
            balances = self.ask("escrow")["balances"]
            books = {name: int(nano) for name, nano in balances.items() if int(nano)}
        return Step(
            who=who,
            what=what,
            status=self.status,
            books=books,
            deal_wallet_nano=self.wallet_nano,
            advertiser_nano=self._market.holds_nano(self.advertiser),
            owner_nano=self._market.holds_nano(self._owner),
        )

    def ask(self, about: str = "") -> Any:
        """What the API tells the advertiser of the deal, or of a part of it."""
        return self.advertiser.api.get(self._path(about))

    def offer(self) -> None:
        """The advertiser sends an offer at the channel's price."""
        deal = self.advertiser.api.post(
            "/deals",
            {
                "channelId": self._market.channel_id,
                "format": "STANDARD",
                "priceNano": str(PRICE_NANO),
                "brief": {"text": "Tell them about our fresh coffee.", "tone": "CASUAL"},
            },
        )
        self.id = UUID(deal["id"])
        self.advertiser_does("submit")

    def press_accept(self) -> None:
        """Oleg presses the button under the offer; the deal gets its address."""
        offer = self._market.until(self._offer_message, "the offer in Oleg's chat")
        self._market.telegram.press(self._owner.user_id, offer, "Принять")
        self.wait_for_status("AWAITING_PAYMENT")

    def give_refund_address(self) -> None:
        """The advertiser says where a refund would go, and is shown where to pay."""
        self.advertiser.api.put(
            self._path("refund-address"),
            {"address": self.advertiser.wallet.raw_address, "typedByHand": True},
        )
        self.address = self.ask("deposit")["address"]

    def pay(self, nano: int) -> None:
        """The advertiser sends `nano` to the deal's address; it arrives."""
        self.advertiser.wallet.send(self._market.stack.ton_url, self.address, nano)

    def submit_ad(self) -> None:
        """Oleg submits the ad."""
        button = {"label": "Order", "url": "https://example.com/coffee"}
        self.owner_does("creative", {"text": AD_TEXT, "buttons": [button]})

    def advertiser_does(self, what: str, body: dict[str, Any] | None = None) -> None:
        """The advertiser does something with the deal."""
        self.advertiser.api.post(self._path(what), body)

    def owner_does(self, what: str, body: dict[str, Any] | None = None) -> None:
        """Oleg does something with the deal."""
        self._owner.api.post(self._path(what), body)

    def wait_for_status(self, *statuses: str) -> None:
        """Wait until the deal is in one of these states."""
        self._wait_for("", lambda deal: deal["status"] in statuses, " or ".join(statuses))

    def wait_for_refund(self, kind: str, *, confirmed: bool = True) -> None:
        """Wait until the advertiser is owed a transfer of this kind, or the chain confirmed it."""
        self._market.until(lambda: self._refund(kind, confirmed=confirmed), f"a {kind}")

    def wait_for_message(self, words: str) -> None:
        """Wait until the bot has written these words to the advertiser."""
        self._market.until(lambda: self._message_with(words), f"a message with “{words}”")

    def _path(self, about: str) -> str:
        return f"/deals/{self.id}/{about}".rstrip("/")

    def _wait_for(self, about: str, ready: Callable[[Any], bool], what: str) -> None:
        self.advertiser.api.wait_for(
            self._path(about), ready, what=what, timeout_s=self._market.patience_s
        )

    def _offer_message(self) -> int | None:
        for message in reversed(self._market.telegram.messages(self._owner.user_id)):
            rows = message.get("reply_markup", {}).get("inline_keyboard", [])
            buttons = [button for row in rows for button in row]
            is_offer = any(button["text"] == "Принять" for button in buttons)
            if is_offer and any(str(self.id) in button.get("url", "") for button in buttons):
                return int(message["message_id"])
        return None

    def _refund(self, kind: str, *, confirmed: bool) -> Any | None:
        for transfer in self.advertiser.api.get("/wallet/transactions")["items"]:
            if (transfer["dealId"], transfer["kind"]) == (str(self.id), kind):
                return transfer if transfer["state"] == "CONFIRMED" or not confirmed else None
        return None

    def _message_with(self, words: str) -> bool | None:
        messages = self._market.telegram.messages(self.advertiser.user_id)
        return any(words in message.get("text", "") for message in messages) or None
