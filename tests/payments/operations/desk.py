"""Operators at work: they ask, others approve, and the money is where they left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.messaging.models import OutboxMessage
from payments import services
from payments.books.chart import PLATFORM_TREASURY
from payments.books.ledger import balance
from payments.models import (
    CommissionTier,
    Deposit,
    Escrow,
    Journal,
    OperatorRequest,
    Settlement,
    TonTransaction,
    Wallet,
)
from payments.operations import requests
from payments.tasks import sweep_commission
from payments.wallets import TREASURY
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.operators import hire
from tests.payments.bank import ACTOR, Bank
from tests.payments.contracts import deploy_refuser

ADVERTISER_ID = 77
REASON = "the payee wrote to support"
GIVES_UP = ("settlement.cancel_into_refund", "settlement.write_off")


class Desk:
    """Ann may act, Boris may act and approve."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.ann = hire("ann", "operate_money")
        self.boris = hire("boris", "operate_money", "approve_money")

    def ask(
        self, name: str, by: int | None = None, reason: str = REASON, **payload: Any
    ) -> OperatorRequest:
        """Look at the chain, then ask for an operation; Ann does, unless told otherwise."""
        evidence = requests.look(name, payload)
        with transaction.atomic():
            return requests.ask(
                name=name,
                payload=payload,
                reason=reason,
                actor=Actor.operator(by or self.ann),
                at=timezone.now(),
                evidence=evidence,
            )

    def approve(self, request: OperatorRequest, by: int | None = None) -> OperatorRequest:
        """Look at the chain, then approve; Boris does, unless told otherwise."""
        evidence = requests.look_again(request.pk)
        with transaction.atomic():
            return requests.approve(
                request_id=request.pk,
                actor=Actor.operator(by or self.boris),
                at=timezone.now(),
                evidence=evidence,
            )

    def reject(self, request: OperatorRequest, by: int | None = None) -> OperatorRequest:
        """Refuse what was asked for; Boris does, unless told otherwise."""
        with transaction.atomic():
            return requests.reject(
                request_id=request.pk,
                actor=Actor.operator(by or self.boris),
                at=timezone.now(),
            )

    def do(self, name: str, **payload: Any) -> OperatorRequest:
        """Ann asks, and Boris approves if that is needed."""
        request = self.ask(name, **payload)
        return self.approve(request) if request.needs_second else request

    def on(self, name: str, settlement: Settlement, **more: Any) -> OperatorRequest:
        """Do something about a settlement, as it is stored."""
        return self.do(name, **about(settlement, name), **more)

    # --- states that wait for an operator -----------------------------------------------------

    def give_refund_address(self, reference: UUID, address: str) -> None:
        """The advertiser says where a refund goes, before paying."""
        now = timezone.now()
        with transaction.atomic():
            accounts.get_or_create_user(
                user_id=ADVERTISER_ID, first_name="Anna", username="", language_code="en", at=now
            )
            services.set_refund_destination(
                reference=reference,
                user_id=ADVERTISER_ID,
                address=address,
                comment="",
                typed_by_hand=True,
                actor=Actor.user(ADVERTISER_ID),
                at=now,
            )

    def funded_by(self, advertiser: PersonsWallet) -> UUID:
        """A funded escrow whose advertiser gave a refund address."""
        reference = self.bank.open_escrow()
        self.give_refund_address(reference, advertiser.raw_address)
        self.bank.pay(reference)
        self.bank.apply_deposits()
        return reference

    def unclaimed(self, reference: UUID) -> Settlement:
        """A payout of a funded escrow that waits for an address."""
        self.bank.release(reference)
        self.bank.execute()
        return self.bank.settlement(reference)

    def bounced(self, reference: UUID) -> Settlement:
        """A payout of a funded escrow that came back."""
        self.bank.set_payout_address(address=deploy_refuser(self.bank))
        self.bank.release(reference)
        self.bank.settle()
        return self.bank.settlement(reference)

    def stuck_refund(self) -> Settlement:
        """A refund for which nobody gave an address."""
        reference = self.bank.addressless_escrow()
        with transaction.atomic():
            services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())
        return self.bank.settlement(reference, Settlement.Kind.REFUND)

    def treasury_with_commission(self) -> int:
        """A treasury that got the commission of a deal; return what the books say it has."""
        self.bank.payout_due()
        self.bank.settle()
        sweep_commission()
        self.bank.settle()
        return balance(PLATFORM_TREASURY)


def about(settlement: Settlement, name: str = "") -> dict[str, Any]:
    """What the payload of this operation says of a settlement, as it is stored."""
    said = {"settlement_id": str(settlement.pk), "nano": settlement.amount_nano}
    if name in GIVES_UP:
        stored = Settlement.objects.get(pk=settlement.pk)
        return {**said, "waiting_for": stored.waiting_for}
    return said


def treasury() -> Wallet:
    """The treasury, as stored."""
    return Wallet.objects.get(subwallet=TREASURY)


@contextmanager
def nothing_changes(*, but: tuple[type[Model], ...] = ()) -> Iterator[None]:
    """Assert that the block leaves money, requests, the audit log and events as they were."""
    tables = [one for one in _TABLES if one not in but]
    before = [_rows(table) for table in tables]
    yield
    assert [_rows(table) for table in tables] == before


_TABLES: list[type[Model]] = [
    CommissionTier,
    Deposit,
    Escrow,
    Journal,
    OperatorRequest,
    Settlement,
    TonTransaction,
    Wallet,
    AuditEntry,
    OutboxMessage,
]


def _rows(table: type[Model]) -> list[dict[str, Any]]:
    return list(table._default_manager.order_by("pk").values())
