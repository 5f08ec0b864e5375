"""What every scenario needs: a deal's people, two clocks, and what life does after a death."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import time_machine
from django.utils import timezone
from pytest_django.fixtures import Settings

from payments.models import Settlement
from payments.ton import wallet as ton_wallet
from payments.wallets import refill_stock
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import OWNER_SHARE_NANO, Bank

TON = 1_000_000_000
Kind = Settlement.Kind


class Life:
    """A bank whose clock goes with the chain's, and a new deal and people for each death."""

    def __init__(self, bank: Bank, clock: time_machine.Traveller, settings: Settings) -> None:
        self.bank = bank
        self.clock = clock
        self.settings = settings

    def begin(self) -> None:
        """The next deal has an owner and an advertiser of its own."""
        self.bank.owner_id += 1
        self.bank.owner = PersonsWallet(f"owner {uuid4()}")
        self.bank.advertiser_id += 1
        self.bank.advertiser = PersonsWallet(f"advertiser {uuid4()}")
        refill_stock(self.bank.client, at=timezone.now())

    def pass_time(self, seconds: int) -> None:
        """Move both clocks on."""
        self.bank.chain.advance(seconds)
        self.clock.shift(seconds)

    def know_mnemonic(self, mnemonic: str) -> None:
        """Processes that start from now on have this one."""
        self.settings.TON_WALLET_MNEMONIC = mnemonic
        self.settings.TON_WALLET_PUBLIC_KEY = ton_wallet.public_key_of(mnemonic)


@dataclass(frozen=True)
class Scenario:
    """How a deal comes to a point, what a process does there, and how life goes on.

    `given_back` is what is given back to the advertiser, in nanoTON, before fees are withheld.
    `kind` is that of the settlement that the process sends or books, where that is what it does.
    """

    name: str
    act: str
    prepare: Callable[[Life], UUID]
    go_on: Callable[[Life, UUID], None]
    owner_receives: tuple[int, ...] = (OWNER_SHARE_NANO,)
    given_back: tuple[int, ...] = ()
    kind: str = ""


CLEAN: list[Scenario] = []
SPOILT: list[Scenario] = []
"""After these, findings are right: somebody else used our key."""


def nothing(_life: Life, _reference: UUID) -> None:
    return


def scenario(
    act: str,
    *,
    go_on: Callable[[Life, UUID], None] = nothing,
    owner_receives: tuple[int, ...] = (OWNER_SHARE_NANO,),
    given_back: tuple[int, ...] = (),
    into: list[Scenario] = CLEAN,
) -> Callable[[Callable[[Life], UUID]], Callable[[Life], UUID]]:
    """Register what prepares a scenario, under its name."""

    def register(prepare: Callable[[Life], UUID]) -> Callable[[Life], UUID]:
        into.append(Scenario(prepare.__name__, act, prepare, go_on, owner_receives, given_back))
        return prepare

    return register


def make_due() -> None:
    """Whatever is owed is due now."""
    Settlement.objects.update(due_at=timezone.now())


def queue_again(_life: Life, reference: UUID) -> None:
    """What an operator's retry does."""
    stopped = Settlement.objects.filter(reference=reference, state__in=["NEEDS_OPERATOR", "HELD"])
    stopped.update(state=Settlement.State.QUEUED)


def apply_the_rule(life: Life, _reference: UUID) -> None:
    """What was read is decided."""
    life.bank.read()
    life.bank.apply_deposits()


def pay_out(life: Life, reference: UUID) -> None:
    """The deal goes well."""
    apply_the_rule(life, reference)
    life.bank.set_payout_address()
    life.bank.release(reference)
