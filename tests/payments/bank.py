"""Payments driven by hand: what the chain reader, the sweepers and the executor do, one by one."""

from __future__ import annotations

import base64
import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import time_machine
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.money import NANO_PER_TON
from payments import services
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.chain import polling_reader, reader
from payments.deposits import partials, rule
from payments.models import Escrow, Settlement, TonTransaction, Wallet
from payments.sending import pause, sweep
from payments.sending.executor import Executor, make_signer
from payments.ton.api import TonApi
from payments.ton.client import TonClient
from payments.ton.client_v2 import TonClientV2
from payments.wallets import TREASURY, refill_stock
from sandbox.ton.control import Chain
from sandbox.ton.wallets import Wallet as PersonsWallet

_signer = functools.cache(make_signer)

Kind = Settlement.Kind

PRICE_NANO = 100 * NANO_PER_TON
OWNER_SHARE_NANO = 90 * NANO_PER_TON
OWNER_ID = 501
ADVERTISER_ID = 77
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
        self.advertiser_id = ADVERTISER_ID
        self.advertiser = PersonsWallet(f"advertiser {uuid4()}")
        self.confirm_epoch()
        self.read()
        refill_stock(self.api, at=timezone.now())

    def make_api(self) -> TonApi:
        """What payments speaks with."""
        return self.client

    def read_new(self) -> int:
        """Let the chain reader take its turn."""
        return reader.read_new_blocks(self.client, at_most=1000)

    def hang_up(self) -> None:
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

    def refundable_escrow(self, price_nano: int = PRICE_NANO) -> UUID:
        """The escrow of a new deal whose advertiser said where a refund goes."""
        reference = self.open_escrow(price_nano)
        self.set_refund_address(reference)
        return reference

    def set_refund_address(self, reference: UUID, address: str = "", comment: str = "") -> None:
        """The advertiser says where refunds go: to the wallet that we look at, or elsewhere."""
        now = timezone.now()
        with transaction.atomic():
            self._know(self.advertiser_id, "Anna")
            services.set_refund_destination(
                reference=reference,
                user_id=self.advertiser_id,
                address=address or self.advertiser.raw_address,
                comment=comment,
                typed_by_hand=True,
                actor=Actor.user(self.advertiser_id),
                at=now,
            )

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
            self.send(person, address, nano)
        return self.chain.mine(2)

    def send(self, person: PersonsWallet, address: str, nano: int, *, body: Any = None) -> None:
        """A person's first transfer; it lands with the next blocks."""
        valid_until = self.chain.now() + 600
        boc = person.signed_transfer(address, nano, seqno=0, valid_until=valid_until, body=body)
        assert self.client.send(base64.b64encode(boc).decode()) == "ok"

    def apply_deposits(self) -> None:
        """Apply the rule of every confirmed deposit."""
        for deposit_id in rule.ready_deposits():
            with transaction.atomic():
                rule.apply_rule(deposit_id=deposit_id, at=timezone.now())

    def deposit(self, reference: UUID, nano: int = PRICE_NANO) -> None:
        """A payment, all the confirmations that it may need, and its rule."""
        self.chain.faucet(self.wallet(reference).address, nano)
        self.chain.mine(4)
        self.read()
        self.apply_deposits()

    def return_stale_partials(self) -> None:
        """Give back what has waited long enough for the rest of the price."""
        for escrow in partials.stale_partials(at=timezone.now()):
            with transaction.atomic():
                partials.return_stale_partial(escrow=escrow, at=timezone.now())

    def funded_escrow(self) -> UUID:
        """An escrow that holds its price, and can give it back."""
        reference = self.refundable_escrow()
        self.pay(reference)
        self.apply_deposits()
        return reference

    def addressless_escrow(self) -> UUID:
        """An escrow that holds its price, whose advertiser never said where a refund goes."""
        reference = self.open_escrow()
        self.pay(reference)
        self.apply_deposits()
        return reference

    def close(self, reference: UUID, *, expired: bool = False) -> None:
        """The deal ends unpaid."""
        with transaction.atomic():
            services.close_escrow(
                reference=reference, expired=expired, actor=ACTOR, at=timezone.now()
            )

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

    def refund(self, reference: UUID) -> None:
        """The deal failed: all goes back to the advertiser."""
        with transaction.atomic():
            services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())

    def split(self, reference: UUID, owner_gross_nano: int = PRICE_NANO // 2) -> None:
        """The owner gets this part, less its commission of a tenth, and the advertiser the rest."""
        with transaction.atomic():
            services.split_escrow(
                reference=reference,
                owner_id=self.owner_id,
                owner_gross_nano=owner_gross_nano,
                commission_rate_bp=1_000,
                actor=ACTOR,
                at=timezone.now(),
            )

    def payout_due(self) -> UUID:
        """An escrow whose owner has an address and is owed a payout."""
        self.set_payout_address()
        reference = self.funded_escrow()
        self.release(reference)
        return reference

    def refund_due(self) -> UUID:
        """An escrow whose advertiser is owed all of it."""
        reference = self.funded_escrow()
        self.refund(reference)
        return reference

    def split_due(self) -> UUID:
        """An escrow that owes a payout of 45 TON and a refund of 50."""
        self.set_payout_address()
        reference = self.funded_escrow()
        self.split(reference)
        return reference

    def sweep(self) -> None:
        """Owe the treasury the commission of all deals that owe nothing else."""
        for reference in sweep.sweepable():
            with transaction.atomic():
                sweep.owe_sweep(reference=reference, at=timezone.now())

    def fund_treasury(self, nano: int = 5 * NANO_PER_TON) -> None:
        """An operator sends the treasury money for gas."""
        self.chain.faucet(self.treasury().address, nano)
        self.read()

    def set_payout_address(self, comment: str = "", address: str = "") -> None:
        """The owner says where payouts go: to the wallet that we look at, or elsewhere."""
        now = timezone.now()
        with transaction.atomic():
            self._know(self.owner_id, "Olga")
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

    def treasury(self) -> Wallet:
        """The treasury, as stored."""
        return Wallet.objects.get(subwallet=TREASURY)

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
        return self.received_at(self.owner.raw_address)

    def advertiser_received(self) -> list[int]:
        """What arrived at the advertiser's address on chain, in nanoTON, oldest first."""
        return self.received_at(self.advertiser.raw_address)

    def received_at(self, address: str) -> list[int]:
        """What arrived at an address on chain, in nanoTON, oldest first."""
        arrived = self.chain.transactions(address)
        return [int(one["in_msg"]["value"]) for one in arrived if one["in_msg"]["value"]]

    def fees(self, wallet: Wallet) -> int:
        """What the chain itself took from a wallet so far, in nanoTON."""
        return sum(
            int(tx["total_fees"]) + sum(int(message["fwd_fee"]) for message in tx["out_msgs"])
            for tx in self.chain.transactions(wallet.address)
        )

    def withheld(self, reference: UUID, kind: Kind) -> list[int]:
        """What landed refunds of this kind kept back of what was owed, in nanoTON."""
        landed = TonTransaction.objects.filter(
            settlement__reference=reference, settlement__kind=kind, sent_nano__gt=0
        )
        return list(landed.order_by("lt").values_list("withheld_nano", flat=True))

    def off_the_chain(self) -> dict[int, tuple[int, int]]:
        """The wallets whose books differ from the chain: what the chain says, and what we say."""
        looked_at = {
            wallet.subwallet: (self.chain.balance(wallet.address), wallet.balance_nano)
            for wallet in Wallet.objects.all()
        }
        return {
            number: (chain, books) for number, (chain, books) in looked_at.items() if chain != books
        }

    def _know(self, user_id: int, name: str) -> None:
        accounts.get_or_create_user(
            user_id=user_id, first_name=name, username="", language_code="en", at=timezone.now()
        )


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

    def deposit(self, reference: UUID, nano: int = PRICE_NANO) -> None:
        """A payment that a round has found, all its confirmations since then, and its rule."""
        self.pay(reference, nano)
        self.chain.mine(4)
        self.read()
        self.apply_deposits()
