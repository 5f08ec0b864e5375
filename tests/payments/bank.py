"""Payments driven by hand: what the chain reader, the sweepers and the executor do, one by one."""

from __future__ import annotations

import base64
import datetime as dt
import functools
from collections.abc import Sequence
from uuid import UUID, uuid4

import time_machine
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.money import NANO_PER_TON
from payments import deposits, ledger, pause, polling_reader, reader, services
from payments.chart import PerDeal
from payments.executor import Executor, make_signer
from payments.models import Escrow, Settlement, TonTransaction, Wallet
from payments.ton.api import TonApi
from payments.ton.client import TonClient
from payments.ton.client_v2 import TonClientV2
from payments.wallets import refill_stock
from sandbox.ton.control import Chain
from sandbox.ton.wallets import Wallet as PersonsWallet

_signer = functools.cache(make_signer)

Kind = Settlement.Kind

PRICE_NANO = 100 * NANO_PER_TON
OWNER_SHARE_NANO = 90 * NANO_PER_TON
OWNER_ID = 501
ACTOR = Actor.system("test")


class Bank:
    """Lives an escrow's life through services, and looks at the chain for what came of it."""

    head, broadcast = "masterchainInfo", "message"
    """The API's methods that tell the last block, and that send a message."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.client = TonClient()
        self.api = self.make_api()
        self.signer = _signer()
        self.owner_id = OWNER_ID
        self.owner = PersonsWallet(f"owner {uuid4()}")
        self.confirm_epoch()
        self.read()
        refill_stock(self.api, at=timezone.now())

    def make_api(self) -> TonApi:
        """What payments speaks with."""
        return self.client

    def read_new(self) -> int:
        """Let the chain reader take its turn."""
        return reader.read_new_blocks(self.client, at_most=1000)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.api.close()

    def confirm_epoch(self) -> None:
        """An operator says that Redis may be trusted."""
        with transaction.atomic():
            pause.confirm_epoch(actor=ACTOR, reason="test", at=timezone.now())

    def read(self) -> None:
        """Make a block and book all there are."""
        self.chain.mine()
        while self.read_new():
            pass

    def open_escrow(self, price_nano: int = PRICE_NANO) -> UUID:
        """Open the escrow of a new deal, with a day to pay."""
        reference = uuid4()
        now = timezone.now()
        with transaction.atomic():
            services.open_escrow(
                reference=reference,
                price_nano=price_nano,
                payment_deadline_at=now + dt.timedelta(days=1),
                actor=ACTOR,
                at=now,
            )
        return reference

    def pay(self, reference: UUID, nano: int = PRICE_NANO) -> None:
        """The advertiser pays, and the reader books it."""
        self.chain.faucet(self.wallet(reference).address, nano)
        self.read()

    def pay_at_once(self, payments: Sequence[tuple[str, int]]) -> int:
        """Let different people pay (address, nanoTON) in one block; return its number, unread."""
        people = [PersonsWallet(f"payer {number}") for number in range(len(payments))]
        for person, (_, nano) in zip(people, payments, strict=True):
            self.chain.faucet(person.address, nano + NANO_PER_TON)
        for person, (address, nano) in zip(people, payments, strict=True):
            boc = person.signed_transfer(address, nano, seqno=0, valid_until=self.chain.now() + 600)
            assert self.client.send(base64.b64encode(boc).decode()) == "ok"
        return self.chain.mine(2)

    def apply_deposits(self) -> None:
        """Apply the rule of every confirmed deposit."""
        for deposit_id in deposits.ready_deposits():
            with transaction.atomic():
                deposits.apply_rule(deposit_id=deposit_id, at=timezone.now())

    def funded_escrow(self) -> UUID:
        """An escrow that holds its price."""
        reference = self.open_escrow()
        self.pay(reference)
        self.apply_deposits()
        return reference

    def release(self, reference: UUID, owner_share_nano: int = OWNER_SHARE_NANO) -> None:
        """The ad was verified: the owner has earned their share."""
        with transaction.atomic():
            services.release_escrow(
                reference=reference,
                owner_id=self.owner_id,
                owner_share_nano=owner_share_nano,
                actor=ACTOR,
                at=timezone.now(),
            )

    def payout_due(self) -> UUID:
        """An escrow whose owner has an address and is owed a payout."""
        self.set_payout_address()
        reference = self.funded_escrow()
        self.release(reference)
        return reference

    def set_payout_address(self, comment: str = "", address: str = "") -> None:
        """The owner says where payouts go: to the wallet that we look at, or elsewhere."""
        now = timezone.now()
        with transaction.atomic():
            accounts.get_or_create_user(
                user_id=self.owner_id,
                first_name="Olga",
                username="",
                language_code="en",
                at=now,
            )
            accounts.set_payout_address(
                user_id=self.owner_id,
                address=address or self.owner.raw_address,
                comment=comment,
                typed_by_hand=True,
                actor=Actor.user(self.owner_id),
                at=now,
            )

    def executor(self) -> Executor:
        """A new worker."""
        return Executor(self.api, self.signer)

    def execute(self) -> None:
        """Every due settlement takes one step, whenever it is due."""
        Settlement.objects.update(due_at=timezone.now())
        self.executor().run(at_most=100)

    def settle(self, turns: int = 6) -> None:
        """Let executor and reader work in turn."""
        for _ in range(turns):
            self.execute()
            self.read()
        self.execute()

    def pass_time(self, seconds: int) -> time_machine.travel:
        """Move the chain's clock on; the returned traveller takes ours along."""
        self.chain.advance(seconds)
        return time_machine.travel(timezone.now() + dt.timedelta(seconds=seconds), tick=True)

    def wallet(self, reference: UUID) -> Wallet:
        """The wallet of an escrow, as stored."""
        return Wallet.objects.get(reference=reference)

    def escrow(self, reference: UUID) -> Escrow:
        """The escrow, as stored."""
        return Escrow.objects.get(reference=reference)

    def settlement(self, reference: UUID, kind: Kind = Kind.PAYOUT) -> Settlement:
        """The escrow's only settlement of this kind, as stored."""
        return Settlement.objects.get(reference=reference, kind=kind)

    def attempts(self, reference: UUID, kind: Kind = Kind.PAYOUT) -> list[str]:
        """The states of the attempts at settlements of this kind, oldest first."""
        rows = TonTransaction.objects.filter(settlement__reference=reference, settlement__kind=kind)
        return list(rows.order_by("pk").values_list("state", flat=True))

    def holds(self, reference: UUID) -> dict[str, int]:
        """What lies in the escrow's accounts, in nanoTON; empty ones are left out."""
        balances = {kind.value: ledger.balance(kind.of(reference)) for kind in PerDeal}
        return {name: nano for name, nano in balances.items() if nano}

    def owner_has(self) -> int:
        """What the chain says that the owner holds, in nanoTON."""
        return self.chain.balance(self.owner.raw_address)

    def owner_received(self) -> list[int]:
        """What arrived at the owner's address on chain, in nanoTON, oldest first."""
        arrived = self.chain.transactions(self.owner.raw_address)
        return [int(one["in_msg"]["value"]) for one in arrived if one["in_msg"]["value"]]


class PollingBank(Bank):
    """The same where only API v2 is to be had."""

    head, broadcast = "getMasterchainInfo", "sendBocReturnHash"

    def make_api(self) -> TonClientV2:
        """What payments speaks with."""
        self.v2 = TonClientV2()
        return self.v2

    def read_new(self) -> int:
        """Let the chain reader take its turn."""
        return polling_reader.poll_wallets(self.v2)
