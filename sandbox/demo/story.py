"""The first act: one deal from the offer to the payout."""

from __future__ import annotations

from collections.abc import Iterator

from .deal import Deal, Step
from .people import PRICE_NANO, Market

COMPLETED = "COMPLETED_RELEASED"


class Story:
    """The deal of Anna, who advertises coffee, and Oleg, who owns a channel.

    `steps` lives it; after the last one the deal is completed and Oleg's wallet holds his share.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self.deal = Deal(market, market.anna)

    def steps(self) -> Iterator[Step]:
        """Live the deal; each step is yielded once its effect can be seen."""
        market, deal = self._market, self.deal
        anna, oleg = market.anna, market.oleg
        market.join(anna, oleg)
        market.open_channel()
        market.give_money(anna)
        yield deal.step("Telegram", "Anna and Oleg start the bot; Oleg makes it an administrator")
        market.log_in(anna, oleg)
        yield deal.step("Anna, Oleg", "log in to the Mini App with Telegram's initData")
        market.list_channel()
        market.give_payout_address()
        yield deal.step("Oleg", "registers the channel, lists a price, sets a payout address")
        deal.offer()
        yield deal.step("Anna", "offers 50 TON for a post")
        deal.press_accept()
        yield deal.step("Oleg", "presses “Accept” in Telegram; the deal gets its own TON address")
        deal.give_refund_address()
        deal.pay(PRICE_NANO)
        yield deal.step("Anna", "gives a refund address and pays 50 TON on chain")
        deal.wait_for_status("FUNDED")
        yield deal.step("system", "saw the deposit in a block and booked it into escrow")
        deal.submit_ad()
        yield deal.step("Oleg", "submits the ad")
        deal.advertiser_does("creative/approve")
        yield deal.step("Anna", "approves it")
        deal.owner_does("publish")
        deal.wait_for_status("PUBLISHED", "DELIVERY_VERIFYING")
        yield deal.step("system", "the bot posted the ad to the channel")
        deal.wait_for_status("DELIVERY_VERIFIED", COMPLETED)
        yield deal.step("system", "verified the ad over the retention time and released escrow")
        deal.wait_for_status(COMPLETED)
        yield deal.step("system", "the owner's wallet received the payout on chain")

    @property
    def payout_tx(self) -> str:
        """The hash of the chain transaction that paid Oleg."""
        return str(self.deal.ask("escrow")["payout"]["txHash"])

    @property
    def status(self) -> str:
        """The deal's state, as the API tells Anna."""
        return self.deal.status

    def owner_received_nano(self) -> int:
        """What the chain itself says that Oleg holds."""
        return self._market.holds_nano(self._market.oleg)
