"""`POST /sim/...`: what tests and demos may do to the chain that nobody else can."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.ton import render_v3
from sandbox.ton.chain import FAUCET, Chain, ClockGoesBack
from sandbox.ton.executor import NotAccepted
from sandbox.ton.faults import Fault, Faults
from sandbox.ton.messages import (
    InvalidMessage,
    Message,
    comment_cell,
    jetton_notice,
    parse_external,
    raw_address,
    rewrap,
)
from sandbox.ton.view import Views

Body = Mapping[str, Any]


class Refused(Exception):
    """The control plane cannot do what it was asked."""


class ControlPlane:
    """The orders, by name. Amounts are nanoTON, times seconds, addresses in any form."""

    def __init__(
        self, chain: Chain, views: Views, faults: Faults, broadcasts_at: Sequence[float]
    ) -> None:
        self._chain = chain
        self._views = views
        self._faults = faults
        self._broadcasts_at = broadcasts_at
        self._orders: dict[str, Callable[[Body], Any]] = {
            "faucet": self._faucet,
            "advance": self._advance,
            "clock": self._clock,
            "mine": self._mine,
            "fault": self._fault,
            "due_faults": self._due_faults,
            "broadcasts": self._broadcasts,
            "clear_faults": self._clear_faults,
            "rewrap": self._rewrap,
            "state": self._state,
            "totals": self._totals,
        }

    def do(self, order: str, body: Body) -> Any:
        """Carry out an order.

        Raises:
            Refused: there is no such order, or something is wrong with it.
        """
        if order not in self._orders:
            raise Refused(f"unknown order: {order}")
        try:
            return self._orders[order](body)
        except (
            ClockGoesBack,
            InvalidMessage,
            NotAccepted,
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            raise Refused(f"{type(error).__name__}: {error}") from error

    def _faucet(self, body: Body) -> Any:
        """Send `nano` to `address` and make the block it arrives in, unless `mine` is false.

        With `comment`, `bounce`; from `source`; as a `jetton_notice`.
        """
        is_notice = bool(body.get("jetton_notice", False))
        self._chain.mint(
            raw_address(body["address"]),
            int(body["nano"]),
            source=raw_address(body.get("source") or FAUCET),
            body=jetton_notice() if is_notice else comment_cell(str(body.get("comment") or "")),
            bounce=bool(body.get("bounce", False)),
        )
        return self._mine({}) if body.get("mine", True) else {}

    def _advance(self, body: Body) -> Any:
        """Move the clock by `seconds` and make a block, so that everyone sees the new time."""
        self._chain.set_clock(advance_s=int(body["seconds"]))
        return self._mine({})

    def _clock(self, body: Body) -> Any:
        """Tell the time; with `frozen` let the clock stand still, or run on."""
        if "frozen" in body:
            self._chain.set_clock(frozen=bool(body["frozen"]))
        return {"now": self._chain.now()}

    def _mine(self, body: Body) -> Any:
        """Make `blocks` blocks (default 1)."""
        for _ in range(int(body.get("blocks", 1))):
            self._chain.mine()
        return {"seqno": self._chain.head.seqno, "now": self._chain.now()}

    def _fault(self, body: Body) -> Any:
        self._faults.order(Fault.ordered(body))
        return {}

    def _due_faults(self, _body: Body) -> Any:
        return {"calls": self._faults.due()}

    def _broadcasts(self, _body: Body) -> Any:
        """When each external message came to the API (Unix time of the system's clock)."""
        return {"at": list(self._broadcasts_at)}

    def _clear_faults(self, _body: Body) -> Any:
        self._faults.clear()
        return {}

    def _rewrap(self, body: Body) -> Any:
        """Land the signed body of an external message inside another one, in place of it.

        The message is the one in `boc`, or else the last pending one (to `address`).
        """
        message = self._message_to_rewrap(body)
        wrapped = self._chain.accept(rewrap(message))
        self._chain.withdraw(message)
        return {
            "replaced": message.hash.hex(),
            "message_hash": wrapped.hash.hex(),
            "message_hash_norm": wrapped.normalized_hash.hex(),
        }

    def _message_to_rewrap(self, body: Body) -> Message:
        if body.get("boc"):
            return parse_external(base64.b64decode(body["boc"]))
        address = raw_address(body["address"]) if body.get("address") else None
        waiting = self._chain.pending(address)
        if not waiting:
            raise Refused("no external message waits for a block")
        return waiting[-1]

    def _state(self, body: Body) -> Any:
        """An account and all its transactions, oldest first, as a node knows them."""
        address = raw_address(body["address"])
        view = self._views.node
        state = view.state(address)
        return {
            "address": address,
            "balance_nano": state.balance_nano,
            "status": state.status,
            "pending": [message.hash.hex() for message in self._chain.pending(address)],
            "transactions": [
                render_v3.transaction(
                    one,
                    first_of_block=view.is_first_of_its_block(one),
                    last_of_block=view.is_last_of_its_block(one),
                )
                for one in view.transactions(address)
            ],
        }

    def _totals(self, _body: Body) -> Any:
        """The chain's own books: what was minted is held, on its way, or was paid as fees."""
        ordinary = [address for address in self._chain.addresses if address.startswith("0:")]
        fees = 0
        for address in ordinary:
            for one in self._chain.transactions(address):
                fees += int(one.content.total_fees.grams)
                fees += sum(int(message.content.info.fwd_fee) for message in one.out_messages)
        return {
            "minted_nano": self._chain.minted_nano,
            "held_nano": sum(self._chain.state(address).balance_nano for address in ordinary),
            "in_flight_nano": self._chain.in_flight_nano,
            "fees_nano": fees,
        }
