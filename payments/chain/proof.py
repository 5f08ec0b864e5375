"""Proof of what we hold: each own wallet by the books, and on chain now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from advertmarket.db import release_connection
from payments.models import ChainCursor, Wallet
from payments.ton.api import TonApi
from payments.ton.schema import WalletState
from payments.wallets import with_books

PATIENCE_S = 60.0
"""How long the chain reader is waited for."""

_ROUNDS = 5
"""How often a wallet that has just moved is looked at again."""

_BATCH = 50
"""How many wallets one request asks about."""

_PAUSE_S = 1.0


@dataclass(frozen=True)
class Held:
    """What a wallet holds, in nanoTON, and the last chain transaction (lt) that each side knows."""

    subwallet: int
    address: str
    reference: UUID | None
    books_nano: int
    books_lt: int
    chain_nano: int
    chain_lt: int

    @property
    def was_ever_used(self) -> bool:
        """Whether anything ever came or went."""
        return bool(self.books_nano or self.books_lt or self.chain_nano or self.chain_lt)

    @property
    def is_at_rest(self) -> bool:
        """Whether books and chain show the wallet after the same chain transaction."""
        return self.books_lt == self.chain_lt

    @property
    def is_same(self) -> bool:
        """Whether they also agree about what it holds then."""
        return self.is_at_rest and self.books_nano == self.chain_nano


@dataclass(frozen=True)
class Proof:
    """What was found out about every own wallet.

    `differing`: the chain holds another sum, or shows a chain transaction that the chain reader has
    passed and not booked. `moving`: never seen at rest, so that nothing is known of them.
    """

    wallets: int
    chain_nano: int
    differing: Sequence[Held]
    moving: Sequence[Held]


def compare(api: TonApi) -> list[Held]:
    """Return what every own wallet holds by the chain and then by the books, by number.

    Raises:
        TonUnavailable: the chain cannot be asked.
    """
    addresses = _addresses()
    return _beside_books(_ask(api, addresses), addresses)


def prove(
    api: TonApi,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Proof:
    """Compare every own wallet's books with the chain, to the nano.

    The chain is asked for its head after the wallets: what it showed of them is booked once the
    chain reader has passed that block. A wallet that has moved meanwhile is looked at again. Runs
    outside a database transaction.

    Raises:
        TonUnavailable: the chain cannot be asked.
    """
    left = _addresses()
    seen: dict[str, Held] = {}
    for tried in range(_ROUNDS):
        if tried:
            sleep(_PAUSE_S)
        states = _ask(api, left)
        has_passed = _reader_passes(api.head().seqno, patience_s, sleep)
        seen |= {held.address: held for held in _beside_books(states, left)}
        left = [address for address in left if not seen[address].is_same]
        if not left or not has_passed:
            break
    differing = [held for held in map(seen.__getitem__, left) if _is_wrong(held, has_passed)]
    return Proof(
        wallets=len(seen),
        chain_nano=sum(held.chain_nano for held in seen.values()),
        differing=differing,
        moving=[seen[address] for address in left if seen[address] not in differing],
    )


def _addresses() -> list[str]:
    return list(Wallet.objects.order_by("subwallet").values_list("address", flat=True))


def _ask(api: TonApi, addresses: Sequence[str]) -> dict[str, WalletState]:
    states: dict[str, WalletState] = {}
    release_connection()
    for start in range(0, len(addresses), _BATCH):
        states |= api.wallet_states(addresses[start : start + _BATCH])
    return states


def _beside_books(states: dict[str, WalletState], addresses: Iterable[str]) -> list[Held]:
    wallets = with_books(Wallet.objects.filter(address__in=list(addresses))).order_by("subwallet")
    return [
        Held(
            subwallet=wallet.subwallet,
            address=wallet.address,
            reference=wallet.reference,
            books_nano=wallet.books_nano,  # type: ignore[attr-defined]  # annotated
            books_lt=wallet.last_lt,
            chain_nano=states[wallet.address].balance,
            chain_lt=states[wallet.address].last_transaction_lt,
        )
        for wallet in wallets
    ]


def _reader_passes(seqno: int, patience_s: float, sleep: Callable[[float], None]) -> bool:
    deadline = time.monotonic() + patience_s
    while not ChainCursor.objects.filter(seqno__gte=seqno).exists():
        if time.monotonic() >= deadline:
            return False
        sleep(_PAUSE_S)
    return True


def _is_wrong(held: Held, has_passed: bool) -> bool:
    return held.is_at_rest or (has_passed and held.chain_lt > held.books_lt)
