"""What everybody should have, in plain Python: it knows the rules of money, not the product."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

TON = 1_000_000_000
DUST_NANO = TON // 100
MOST_WITHHELD_NANO = TON // 20
"""No refund costs more than this."""

NEXT = {
    "AWAITING": {"FUNDED", "CLOSED", "EXPIRED"},
    "EXPIRED": {"FUNDED", "CLOSED"},
    "FUNDED": {"RELEASED", "REFUNDED", "SPLIT"},
    "RELEASED": set(),
    "SPLIT": set(),
    "REFUNDED": set(),
    "CLOSED": set(),
}
"""How an escrow may go on. An expired one is funded by what came in time, or closed if an operator
rejects that; a payout that is cancelled makes it REFUNDED."""


def least_funding(price_nano: int) -> int:
    """Return what funds a price: a thousandth less, and a thousandth of a TON at the most."""
    return price_nano - min(TON // 1_000, price_nano // 1_000)


@dataclass
class Deal:
    """A deal as its two parties see it; amounts in nanoTON.

    `owner_at` and `advertiser_at` are all the addresses that were ever theirs.
    """

    reference: UUID
    subwallet: int
    address: str
    owner_id: int
    advertiser_id: int
    price_nano: int
    rate_bp: int
    deadline_s: int
    owner_at: set[str] = field(default_factory=set)
    advertiser_at: set[str] = field(default_factory=set)
    arrived: list[int] = field(default_factory=list)
    state: str = "AWAITING"
    funded_nano: int = 0
    split_gross_nano: int | None = None
    cancelled: bool = False
    given_up_nano: int = 0

    @property
    def owner_share_nano(self) -> int:
        """What the owner is promised: the price less the commission, which is rounded down."""
        return self.price_nano - self.price_nano * self.rate_bp // 10_000

    @property
    def owner_nano(self) -> int:
        """What the owner has earned so far."""
        if self.cancelled or self.state not in ("RELEASED", "SPLIT"):
            return 0
        if self.split_gross_nano is None:
            return min(self.owner_share_nano, self.funded_nano)
        return self.split_gross_nano - self._split_commission_nano

    @property
    def commission_nano(self) -> int:
        """What the platform has earned so far."""
        if self.cancelled or self.state not in ("RELEASED", "SPLIT"):
            return 0
        if self.split_gross_nano is None:
            return self.funded_nano - self.owner_nano
        return self._split_commission_nano

    @property
    def advertiser_nano(self) -> int:
        """What goes back once the deal is over, before fees."""
        return sum(self.arrived) - self.owner_nano - self.commission_nano

    @property
    def _split_commission_nano(self) -> int:
        assert self.split_gross_nano is not None
        return self.split_gross_nano * self.rate_bp // 10_000

    def note(self, *, operation: str, kind: str, nano: int = 0, address: str = "") -> None:
        """An operator did something about an owed transfer of this deal.

        What came unasked to its wallet is not the deal's.
        """
        if kind == "UNSOLICITED_REFUND":
            return
        is_payout = kind == "PAYOUT"
        if operation == "cancel_into_refund":
            self.cancelled = True
        elif operation == "write_off" and kind.endswith("REFUND"):
            self.given_up_nano += nano
        elif operation == "change_destination" and (is_payout or kind.endswith("REFUND")):
            (self.owner_at if is_payout else self.advertiser_at).add(address)

    def goes_to(self, state: str, funded_nano: int | None) -> str:
        """Note the state that the books show; return what is wrong with it, or nothing."""
        if state != self.state:
            allowed = NEXT[self.state] | ({"REFUNDED"} if self.cancelled else set())
            if state not in allowed:
                return f"{self.reference} went from {self.state} to {state}"
            self.state = state
        if funded_nano is None or funded_nano == self.funded_nano:
            return ""
        if self.funded_nano:
            return f"{self.reference} was funded with {self.funded_nano}, now {funded_nano}"
        self.funded_nano = funded_nano
        least = least_funding(self.price_nano)
        if not least <= funded_nano <= min(self.price_nano, sum(self.arrived)):
            return f"{self.reference} costs {self.price_nano} and is funded with {funded_nano}"
        return ""
