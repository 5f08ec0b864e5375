"""Where drills are held: the running stack, its people, and an operator's eyes and hands."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Any

from advertmarket.money import format_ton
from advertmarket.ton_address import parse_address
from sandbox.demo.deal import Deal
from sandbox.demo.people import PRICE_NANO, Market, Person
from sandbox.demo.proof import NotProved, prove
from sandbox.demo.stack import Stack

from .eyes import Eyes
from .operators import Operators
from .script import Missing, Script, until

_TRANSFER = """
SELECT id::text, state, waiting_for FROM settlements
 WHERE reference = %(deal)s AND kind = %(kind)s ORDER BY created_at DESC LIMIT 1
"""


_NOTE = "A drill: caused, seen and mended"


@dataclass(frozen=True)
class Transfer:
    """What is owed to somebody, as the tables have it."""

    id: str
    state: str
    waiting_for: str


class Room:
    """One stack for all drills; each leaves it as it found it."""

    def __init__(self, stack: Stack, market: Market, eyes: Eyes, operators: Operators) -> None:
        self.stack = stack
        self.market = market
        self.eyes = eyes
        self.operators = operators
        self.script = eyes.script
        self._deals: dict[Deal, str] = {}
        self._held = self._people = 0
        self.advertiser = market.anna

    def settle(self) -> None:
        """Have a watch that has seen nothing of the start, when no queue had done anything yet.

        What it saw then would explain away for two minutes that a single queue is silent.
        """
        until(
            lambda: True if self.sql("SELECT count(*) FROM queue_heartbeats") == [(3,)] else None,
            "a queue has never done anything",
            within_s=60,
        )
        self.stack.restart_role("watch")
        self.eyes.well()

    def tell(self, script: Script) -> None:
        """Have what happens told to this script."""
        self.script = self.eyes.script = self.operators.script = script

    def begin(self, script: Script) -> None:
        """Have a new drill's happenings told, of an advertiser and a channel of its own.

        A channel may get five new deals a day, an advertiser ten at a time.
        """
        self.tell(script)
        self._held += 1
        self.advertiser = self.newcomer(f"Advertiser {self._held}")
        self.market.open_channel(f"channel_{self._held}")
        self.market.list_channel()
        self.eyes.look_before()

    def newcomer(self, name: str) -> Person:
        """Return somebody who has just come to the bot and the Mini App."""
        self._people += 1
        person = Person(200_000 + self._people, name, f"person_{self._people}")
        self.market.join(person)
        self.market.log_in(person)
        return person

    # -- deals, as proofs

    def offered_deal(self) -> Deal:
        """Return a deal whose owner has yet to answer."""
        deal = Deal(self.market, self.advertiser)
        deal.offer()
        return deal

    def accepted_deal(self, advertiser: Person | None = None) -> Deal:
        """Return a deal that waits for its payment."""
        deal = Deal(self.market, advertiser or self.advertiser)
        self.market.give_money(deal.advertiser)
        deal.offer()
        deal.press_accept()
        deal.give_refund_address()
        self._deals[deal] = f"deal {len(self._deals) + 1}"
        return deal

    def funded_deal(self) -> Deal:
        """Return a deal whose price lies in escrow."""
        deal = self.accepted_deal()
        deal.pay(PRICE_NANO)
        deal.wait_for_status("FUNDED")
        return deal

    def call_off(self, deal: Deal) -> None:
        """Both sides cancel a funded deal: the advertiser is owed a refund."""
        deal.advertiser_does("cancel", {"reason": "The shop moves"})
        deal.owner_does("cancel", {"reason": "Agreed"})

    def transfer(self, deal: Deal, kind: str) -> Transfer | None:
        """Return what is owed for a deal, if anything of this kind is."""
        rows = self.sql(_TRANSFER, deal=deal.id, kind=kind)
        return Transfer(*rows[0]) if rows else None

    def waits(self, deal: Deal, kind: str, *words: str, within_s: float = 30) -> Transfer:
        """A transfer is not signed; `words` are in what it waits for."""

        def look() -> Transfer | None:
            found = self.transfer(deal, kind)
            if found is None or found.state != "QUEUED":
                return None
            return found if all(word in found.waiting_for for word in words) else None

        try:
            found = until(look, "", within_s=within_s)
        except Missing:
            now = self.transfer(deal, kind)
            raise Missing(f"the {kind} does not wait for “{' … '.join(words)}”: {now}") from None
        waits_for = f"waits for “{found.waiting_for}”" if words else "is not signed"
        self.script.symptom("settlement", f"{kind} {found.id} {waits_for}")
        return found

    def confirmed_once(self, deal: Deal, kind: str, payee: Person, *, within_s: float) -> None:
        """A transfer lands: the chain shows one payment to its payee from the deal's wallet."""
        began = time.monotonic()

        def look() -> bool | None:
            found = self.transfer(deal, kind)
            return True if found is not None and found.state == "CONFIRMED" else None

        until(look, f"the {kind} of deal {deal.id} was not confirmed", within_s=within_s)
        took_s = time.monotonic() - began
        paid = self._payments(deal, payee)
        if len(paid) != 1:
            raise Missing(f"the chain has {len(paid)} payments of deal {deal.id}, and not one")
        self.script.proof(
            f"the {kind} of {format_ton(paid[0])} TON is confirmed {took_s:.1f} s later,"
            " and the chain has it once"
        )

    # -- tables

    def sql(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Ask or change the database as a superuser, whom no rule of the product stops."""
        cursor = self.eyes.superuser.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    # -- the end of a drill

    def clean(self) -> None:
        """Everything runs and is well, and money may leave.

        Raises:
            Missing: something of the drill is left.
        """
        if dead := self.stack.dead():
            raise Missing(f"ended by itself: {', '.join(dead)}")
        self.eyes.public(is_up=True)
        self.eyes.well()
        until(
            lambda: True if self.eyes.total("payouts_paused") == 0 else None,
            "payouts are paused still",
            within_s=20,
        )
        self.script.clean("every process runs, health is UP in every part, payouts may run")

    def resolve_incidents(self) -> None:
        """An operator closes every incident: refused as long as its cause holds.

        What is told of for a day whatever is done about it is acknowledged.
        """
        open_ones = self.sql(
            "SELECT id, kind FROM incidents WHERE resolved_at IS NULL ORDER BY last_seen_at"
        )
        for number, kind in open_ones:
            if kind == "dead_letters":
                self.operators.run("incidents", "ack", str(number))
            else:
                self._resolve(number, kind)

    def prove(self) -> None:
        """Every wallet holds, on chain and to the nano, what the books say; every check passes."""
        try:
            lines = list(prove(self.market, self._deals))
        except NotProved as difference:
            raise Missing(f"the money is not as it should be: {difference}") from difference
        self.script.clean(f"{len(lines) - 1} wallets hold what the books say; {lines[-1]}")

    def _resolve(self, number: int, kind: str) -> None:
        command = ("incidents", "resolve", str(number), "--note", _NOTE)

        def look() -> bool | None:
            [(seen_s, is_open)] = self.sql(
                "SELECT extract(epoch FROM now() - last_seen_at), resolved_at IS NULL"
                "  FROM incidents WHERE id = %(id)s",
                id=number,
            )
            return True if seen_s > 31 or not is_open else None  # the product wants 30 s

        until(look, f"incident {number}, {kind}, is not gone", within_s=120)
        self.operators.run(*command)

    def _payments(self, deal: Deal, payee: Person) -> list[int]:
        source = parse_address(deal.address, network="testnet")
        return [
            int(transaction["in_msg"]["value"])
            for transaction in self.market.chain.transactions(payee.wallet.raw_address)
            if str((transaction.get("in_msg") or {}).get("source") or "").lower() == source
        ]


def manage_fails(stack: Stack, *command: str, **extra: str) -> tuple[int, str]:
    """Run a command that is expected to fail; return its exit code and what it printed."""
    try:
        return 0, stack.manage(*command, **extra)
    except subprocess.CalledProcessError as failed:
        return failed.returncode, str(failed.stdout)
