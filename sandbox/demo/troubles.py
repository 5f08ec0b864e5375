"""The second act: four deals at once whose money goes other ways than from price to payout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from advertmarket.money import format_ton

from .deal import Deal, Step
from .people import PRICE_NANO, Market, Person

PART_NANO = PRICE_NANO * 3 // 5
EXCESS_NANO = PRICE_NANO // 20
OWNER_BP = 4_000


class Troubles:
    """Deals of Oleg's that are underpaid, overpaid, paid late, and disputed until a split.

    After the last of `steps` all that is owed is on chain.
    """

    def __init__(self, market: Market, *, operator: str, password: str) -> None:
        self._market = market
        self._operator, self._password = operator, password
        self.underpaid = Deal(market, Person(100_003, "Maria", "maria_tea"))
        self.overpaid = Deal(market, Person(100_004, "Ivan", "ivan_bikes"))
        self.late = Deal(market, market.anna)
        self.split = Deal(market, Person(100_005, "Vera", "vera_books"))

    @property
    def deals(self) -> dict[Deal, str]:
        """The deals, with the names of their troubles."""
        return {
            self.underpaid: "underpaid",
            self.overpaid: "overpaid",
            self.late: "late",
            self.split: "split",
        }

    def steps(self) -> Iterator[tuple[str, Step]]:
        """Live the deals side by side; each step is yielded with the name of its deal's trouble."""
        lives = (
            self._live_underpaid(),
            self._live_overpaid(),
            self._live_late(),
            self._live_split(),
        )
        return _side_by_side(dict(zip(self.deals.values(), lives, strict=True)))

    def _live_underpaid(self) -> Iterator[Step]:
        deal, name = self.underpaid, self.underpaid.advertiser.name
        yield self._begin(deal)
        deal.pay(PART_NANO)
        deal.wait_for_message(f"{format_ton(PRICE_NANO - PART_NANO)} TON are missing")
        missing_nano = int(deal.ask("deposit")["missingNano"])
        missing = format_ton(missing_nano)
        yield deal.step(name, f"pays {format_ton(PART_NANO)}; the bot says: {missing} are missing")
        deal.pay(missing_nano)
        deal.wait_for_status("FUNDED")
        yield deal.step(name, f"tops up with {missing}: the deal is paid")
        deal.advertiser_does("cancel", {"reason": "The shop moves"})
        yield deal.step(name, "asks Oleg to cancel")
        deal.owner_does("cancel", {"reason": "Agreed"})
        deal.wait_for_refund("REFUND")
        yield deal.step("Oleg", "agrees: the chain confirmed the refund, less its fee")

    def _live_overpaid(self) -> Iterator[Step]:
        deal, name = self.overpaid, self.overpaid.advertiser.name
        yield self._begin(deal)
        deal.pay(PRICE_NANO + EXCESS_NANO)
        deal.wait_for_status("FUNDED")
        yield deal.step(name, f"pays {format_ton(PRICE_NANO + EXCESS_NANO)}: the deal is paid")
        deal.wait_for_refund("OVERPAYMENT_REFUND")
        yield deal.step("system", f"sent the excess of {format_ton(EXCESS_NANO)} back by itself")

    def _live_late(self) -> Iterator[Step]:
        deal, name = self.late, self.late.advertiser.name
        yield self._begin(deal)
        deal.advertiser_does("cancel", {"reason": "Changed my mind"})
        yield deal.step(name, "cancels before she has paid")
        deal.pay(PRICE_NANO)
        deal.wait_for_refund("LATE_DEPOSIT_REFUND", confirmed=False)
        yield deal.step(name, "pays all the same: too late for this deal")
        deal.wait_for_refund("LATE_DEPOSIT_REFUND")
        yield deal.step("system", "sent the late deposit back by itself")

    def _live_split(self) -> Iterator[Step]:
        deal, name = self.split, self.split.advertiser.name
        yield self._begin(deal)
        deal.pay(PRICE_NANO)
        deal.wait_for_status("FUNDED")
        yield deal.step(name, f"pays {format_ton(PRICE_NANO)}")
        deal.submit_ad()
        deal.advertiser_does("dispute", {"reason": "QUALITY", "statement": "Not about my books"})
        yield deal.step(name, "disputes the ad that Oleg submitted")
        deal.owner_does("dispute/evidence", {"kind": "TEXT", "content": "The brief said coffee"})
        yield deal.step("Oleg", "shows his side")
        self._decide(deal)
        yield deal.step("operator", f"decides: {OWNER_BP // 100} % to Oleg, the rest goes back")
        deal.wait_for_status("PARTIALLY_REFUNDED")
        yield deal.step("system", "both shares are confirmed on chain")

    def _begin(self, deal: Deal) -> Step:
        market, advertiser = self._market, deal.advertiser
        if advertiser is not market.anna:
            market.join(advertiser)
            market.log_in(advertiser)
        market.give_money(advertiser)
        deal.offer()
        deal.press_accept()
        deal.give_refund_address()
        return deal.step(
            advertiser.name, f"offers {format_ton(PRICE_NANO)} TON, and Oleg accepts in Telegram"
        )

    def _decide(self, deal: Deal) -> None:
        decision = {
            "deal_id": str(deal.id),
            "decision": "SPLIT",
            "owner_bp": OWNER_BP,
            "nano": int(deal.ask("escrow")["fundedNano"]),
        }
        self._market.stack.manage(
            *("operate", "ask", "dispute.decide"),
            *("--payload", json.dumps(decision)),
            *("--reason", "The ad is usable, and not what was asked for"),
            *("--operator", self._operator),
            OPERATOR_PASSWORD=self._password,
        )


def _side_by_side(lives: Mapping[str, Iterator[Step]]) -> Iterator[tuple[str, Step]]:
    """Live several deals, each in a thread; what one of them raises is raised at the end."""
    told: SimpleQueue[tuple[str, Step] | None] = SimpleQueue()

    def live(name: str, steps: Iterator[Step]) -> None:
        try:
            for step in steps:
                told.put((name, step))
        finally:
            told.put(None)

    with ThreadPoolExecutor(len(lives)) as pool:
        lived = [pool.submit(live, name, steps) for name, steps in lives.items()]
        for _life in lived:
            yield from iter(told.get, None)
        for life in lived:
            life.result()
