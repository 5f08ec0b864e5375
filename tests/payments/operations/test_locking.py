"""What docs/locking.md promises of balances: whoever moves them holds the wallet that they are of.

So nobody waits for another's balance but for DUST_WRITEOFF and PLATFORM_TREASURY, and each of these
tests ends; without the rule it would end in a deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import uuid4

import pytest
from django.db import transaction

from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PLATFORM_TREASURY, PerWallet
from payments.books.ledger import Line
from payments.chain import booking
from payments.deposits import postings, review
from payments.models import Deposit, Escrow, Journal, Settlement, Wallet
from tests.payments.bank import Bank
from tests.payments.contracts import deploy_refuser, transfer_with_opcode
from tests.payments.lines import before, line_of
from tests.payments.operations.desk import Desk
from tests.payments.threads import Meanwhile, elsewhere

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
JETTON_NOTICE = 0x7362D09C


# --- two at once ----------------------------------------------------------------------------------


def test_a_deposit_is_rejected_while_another_one_is_booked(desk: Desk, bank: Bank) -> None:
    reference = bank.refundable_escrow(2_000 * TON)
    bank.deposit(reference, 2_000 * TON)
    [deposit] = Deposit.objects.filter(state=Deposit.State.REVIEW)
    request = desk.ask("deposit.reject", deposit_id=deposit.pk, nano=deposit.amount_nano)
    bank.chain.faucet(bank.wallet(reference).address, TON)
    reading = Meanwhile(bank.read)

    with before(line_of(review.reject, "decide("), reading):
        desk.approve(request)

    reading.result()
    assert bank.escrow(reference).state == Escrow.State.CLOSED
    assert bank.holds(reference) == {"REFUND_PENDING": 2_000 * TON, "DEPOSIT_PENDING": TON}


def test_late_dust_is_written_off_while_a_small_late_deposit_is(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.close(reference)
    bank.chain.faucet(bank.wallet(reference).address, 10_000_001)  # not worth its fee
    bank.read()
    bank.apply_deposits()
    bank.chain.faucet(bank.wallet(reference).address, 1)
    bank.read()
    executing = Meanwhile(bank.execute)

    with before(line_of(postings.write_off, "ledger.post("), executing):
        bank.apply_deposits()

    executing.result()
    assert bank.holds(reference) == {}
    assert ledger.balance(DUST_WRITEOFF) == 10_000_002


def test_what_came_to_the_treasury_is_claimed_while_a_sweep_is_booked(
    desk: Desk, bank: Bank
) -> None:
    bank.fund_treasury(5 * TON)
    bank.payout_due()
    bank.settle()
    bank.sweep()
    request = desk.ask("treasury.claim", subwallet=0, nano=TON, key=str(uuid4()))
    bank.execute()  # the sweep lands in the block that brings a stranger's gift
    bank.chain.faucet(bank.treasury().address, TON)
    claiming = Meanwhile(lambda: desk.approve(request))

    with before(line_of(booking._post_received, "if message.bounced:", nth=2), claiming):
        bank.read()

    claiming.result()
    assert ledger.balance(PLATFORM_TREASURY) == 11 * TON
    assert ledger.balance(PerWallet.UNSOLICITED.of(0)) == 5 * TON


# --- every way of money ---------------------------------------------------------------------------


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of journals that moved balances whose wallet somebody else could have locked."""
    found: list[str] = []
    move_balances = ledger._move_balances

    def watched(lines: Sequence[Line], key: str) -> None:
        codes = {code for line in lines for code in (line.debit, line.credit)}
        elsewhere(lambda: found.extend(key for code in codes if _could_lock_wallet_of(code)))
        move_balances(lines, key)

    monkeypatch.setattr(ledger, "_move_balances", watched)
    return found


def _could_lock_wallet_of(code: str) -> bool:
    kind, _, whose = code.partition(":")
    field = "subwallet" if kind in tuple(PerWallet) else "reference"
    free = Wallet.objects.select_for_update(no_key=True, skip_locked=True)
    with transaction.atomic():
        return bool(whose) and free.filter(**{field: whose}).exists()


def paid_out_and_swept(desk: Desk, bank: Bank) -> None:
    bank.payout_due()
    bank.settle()
    bank.sweep()
    bank.settle()


def split(desk: Desk, bank: Bank) -> None:
    bank.split_due()
    bank.settle()


def refunded_by_a_contract_that_sends_it_back(desk: Desk, bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.set_refund_address(reference, deploy_refuser(bank))
    bank.pay(reference)
    bank.apply_deposits()
    bank.refund(reference)
    bank.settle()


def paid_in_parts_and_too_much(desk: Desk, bank: Bank) -> None:
    reference = bank.refundable_escrow()
    for nano in (60 * TON, 45 * TON, TON, 5):
        bank.deposit(reference, nano)
    bank.settle()


def ended_with_a_part(desk: Desk, bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)
    bank.close(reference)
    bank.deposit(reference, TON)
    bank.deposit(reference, 5)
    bank.settle()


def approved_and_cancelled_into_a_refund(desk: Desk, bank: Bank) -> None:
    reference = bank.refundable_escrow(2_000 * TON)
    bank.deposit(reference, 2_000 * TON)
    [deposit] = Deposit.objects.filter(state=Deposit.State.REVIEW)
    desk.do("deposit.approve", deposit_id=deposit.pk, nano=deposit.amount_nano)
    desk.on("settlement.cancel_into_refund", desk.unclaimed(reference))


def written_off_and_owed_again(desk: Desk, bank: Bank) -> None:
    desk.on("settlement.write_off", desk.stuck_refund())
    desk.do("journal.reverse", tx_ref=str(Journal.objects.get(kind="DUST_WRITEOFF").pk))


def claimed_and_given_back(desk: Desk, bank: Bank) -> None:
    wallet = bank.wallet(bank.open_escrow())
    transfer_with_opcode(bank, wallet.address, TON, JETTON_NOTICE)
    bank.fund_treasury()
    for subwallet in (0, wallet.subwallet):
        desk.do("treasury.claim", subwallet=subwallet, nano=TON, key=str(uuid4()))
    for claim in Journal.objects.filter(kind="DUST_WRITEOFF"):
        desk.do("journal.reverse", tx_ref=str(claim.pk))


def sent_back_given_up_and_sent_back_again(desk: Desk, bank: Bank) -> None:
    wallet = bank.wallet(bank.open_escrow())
    transfer_with_opcode(bank, wallet.address, TON, JETTON_NOTICE)
    bank.read()
    wanted = {"subwallet": wallet.subwallet, "nano": TON, "address": deploy_refuser(bank)}
    desk.do("wallet.send_back", **wanted)
    desk.on("settlement.write_off", Settlement.objects.get())
    desk.do("wallet.send_back", **wanted)
    bank.settle()


WAYS = [
    paid_out_and_swept,
    split,
    refunded_by_a_contract_that_sends_it_back,
    paid_in_parts_and_too_much,
    ended_with_a_part,
    approved_and_cancelled_into_a_refund,
    written_off_and_owed_again,
    claimed_and_given_back,
    sent_back_given_up_and_sent_back_again,
]


@pytest.mark.parametrize("live", WAYS, ids=[one.__name__ for one in WAYS])
def test_balances_move_under_the_lock_of_their_wallet(
    desk: Desk, bank: Bank, taken: list[str], live: Callable[[Desk, Bank], None]
) -> None:
    live(desk, bank)

    assert taken == []


def test_a_balance_that_moves_without_the_lock_is_noticed(
    bank: Bank, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control of the above."""
    reference = bank.funded_escrow()
    assert taken == []
    monkeypatch.setattr(
        "payments.services.lock_escrow", lambda ref: Escrow.objects.get(reference=ref)
    )

    bank.refund(reference)

    assert set(taken) == {f"refund:{reference}"}
