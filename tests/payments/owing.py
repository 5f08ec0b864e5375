"""How each kind of settlement comes to be owed: the last steps of payments, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from payments.models import Settlement
from payments.operations import books
from payments.operations import wallets as wallet_operations
from payments.sending.executor import MIN_TOP_UP_NANO
from payments.sending.settlements import TREASURY_REFERENCE
from payments.wallets import TREASURY

from .bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank

TON = 1_000_000_000
Kind = Settlement.Kind

PART_NANO = 60 * TON
EXCESS_NANO = 3 * TON
LATE_NANO = 3 * TON
RETURNED_NANO = 3 * TON
WITHDRAWN_NANO = 3 * TON


def part_due(bank: Bank) -> UUID:
    """A deal that ended unpaid owes the part of its price that had come."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, PART_NANO)
    bank.close(reference)
    return reference


def excess_due(bank: Bank) -> UUID:
    """A funded deal owes what came above its price."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + EXCESS_NANO)
    return reference


def late_due(bank: Bank) -> UUID:
    """A deal owes what came after its end."""
    reference = bank.refundable_escrow()
    bank.close(reference)
    bank.deposit(reference, LATE_NANO)
    return reference


def return_due(bank: Bank, nano: int = RETURNED_NANO) -> UUID:
    """A deal's wallet owes the coins that came beside a jetton, as operators decided."""
    reference = bank.open_escrow()
    wallet = bank.wallet(reference)
    bank.chain.faucet(wallet.address, nano, jetton_notice=True)
    bank.read()
    wanted = wallet_operations.AReturn(
        subwallet=wallet.subwallet, nano=nano, address=bank.advertiser.raw_address
    )
    with transaction.atomic():
        wallet_operations.send_back(
            wanted, evidence=None, reason="test", actor=ACTOR, at=timezone.now()
        )
    return reference


def sweep_due(bank: Bank) -> UUID:
    """A deal whose owner is paid owes its commission to the treasury."""
    reference = bank.payout_due()
    bank.settle(turns=3)
    bank.sweep()
    return reference


def payout_without_gas(bank: Bank) -> UUID:
    """A deal owes its owner all that its wallet has."""
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, owner_share_nano=PRICE_NANO)
    return reference


def gas_due(bank: Bank) -> UUID:
    """The treasury owes a deal the gas for its payout."""
    bank.fund_treasury()
    reference = payout_without_gas(bank)
    bank.execute()
    return reference


def withdrawal_due(bank: Bank) -> UUID:
    """The treasury owes a part of its own to the cold wallet, which is the owner's here."""
    bank.fund_treasury(WITHDRAWN_NANO + 2 * TON)
    came = books.AnUnsolicitedSum(subwallet=TREASURY, nano=WITHDRAWN_NANO, key=uuid4())
    wanted = books.AWithdrawal(nano=WITHDRAWN_NANO, address=bank.owner.raw_address)
    with override_settings(TREASURY_COLD_ADDRESS=bank.owner.raw_address), transaction.atomic():
        for operation, payload in ((books.claim, came), (books.withdraw, wanted)):
            operation(payload, evidence=None, reason="test", actor=ACTOR, at=timezone.now())
    return TREASURY_REFERENCE


def _to_owner(bank: Bank, _owed: Settlement) -> str:
    return bank.owner.raw_address


def _to_advertiser(bank: Bank, _owed: Settlement) -> str:
    return bank.advertiser.raw_address


def _to_treasury(bank: Bank, _owed: Settlement) -> str:
    return bank.treasury().address


def _to_the_deal(bank: Bank, owed: Settlement) -> str:
    return bank.wallet(owed.reference).address


def _all_that_the_wallet_has(bank: Bank, owed: Settlement) -> int:
    return bank.chain.balance(owed.wallet.address)


def _exactly(nano: int) -> Callable[[Bank, Settlement], int]:
    return lambda _bank, _owed: nano


@dataclass(frozen=True)
class Way:
    """How a kind comes to be owed (under the reference that is returned), where to, how much.

    `nano` is what the recipient gets, before the fee if it bears that.
    """

    owe: Callable[[Bank], UUID]
    to: Callable[[Bank, Settlement], str]
    nano: Callable[[Bank, Settlement], int]
    bears_its_fee: bool = False


def _back(owe: Callable[[Bank], UUID], nano: int) -> Way:
    return Way(owe, _to_advertiser, _exactly(nano), bears_its_fee=True)


WAYS = {
    Kind.PAYOUT: Way(Bank.payout_due, _to_owner, _exactly(OWNER_SHARE_NANO)),
    Kind.REFUND: _back(Bank.refund_due, PRICE_NANO),
    Kind.PARTIAL_DEPOSIT_REFUND: _back(part_due, PART_NANO),
    Kind.OVERPAYMENT_REFUND: _back(excess_due, EXCESS_NANO),
    Kind.LATE_DEPOSIT_REFUND: _back(late_due, LATE_NANO),
    Kind.UNSOLICITED_REFUND: _back(return_due, RETURNED_NANO),
    Kind.COMMISSION_SWEEP: Way(
        sweep_due, _to_treasury, _all_that_the_wallet_has, bears_its_fee=True
    ),
    Kind.GAS_TOPUP: Way(gas_due, _to_the_deal, _exactly(MIN_TOP_UP_NANO)),
    Kind.TREASURY_WITHDRAWAL: Way(withdrawal_due, _to_owner, _exactly(WITHDRAWN_NANO)),
}
