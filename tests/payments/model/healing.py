"""The end of a run: what is broken is mended, life goes on until it is quiet, the chain judges."""

from __future__ import annotations

import contextlib
from typing import Any

from advertmarket.state import redis_state
from ops import checks
from ops.query import rows
from payments import services
from payments.models import Deposit, Escrow, Settlement, TonTransaction, Wallet
from payments.sending.pause import PAUSE_KEY
from payments.sending.transfers import REFUNDS

from . import acts, invariants
from .expected import MOST_WITHHELD_NANO, TON, Deal
from .invariants import none_of
from .world import World

RETURN = Settlement.Kind.UNSOLICITED_REFUND
MOST_TURNS = 400
"""A wallet sends one at a time, and a run may leave it a hundred refunds."""

_DAY_S = 90_000

_OWED = """
SELECT code, balance_nano FROM account_balances
 WHERE split_part(code, ':', 1) NOT IN
       ('COMMISSION', 'UNSOLICITED', 'PLATFORM_TREASURY', 'DUST_WRITEOFF') AND balance_nano <> 0
"""

_IN_TRANSIT = """
SELECT coalesce(sum(credit_nano - debit_nano), 0) FROM ledger_entries WHERE account = 'IN_TRANSIT'
"""

_WRITTEN_OFF = """
SELECT coalesce(sum(debit_nano - credit_nano), 0) FROM ledger_entries entry
 WHERE split_part(account, ':', 2) = %(reference)s
   AND (kind = 'DUST_WRITEOFF' OR kind = 'REVERSAL')
"""


def heal(world: World, deals: list[Deal]) -> int:
    """Mend what the run broke and let life go on until nothing is owed; return the turns taken."""
    world.chain.clear_faults()
    world.restart()
    redis_state().delete(PAUSE_KEY)
    world.bank.confirm_epoch()
    world.chain.faucet(_address_of_the_treasury(), 5 * TON)
    world.tick()
    for deal in deals:
        acts.set_payout_address(world, deal, world.address())
    world.pass_time(_DAY_S)
    for turn in range(MOST_TURNS):
        world.bank.read()
        world.bank.apply_deposits()
        _let_operators_act(world, deals)
        _end(deals)
        acts.housekeep()
        world.hurry()
        world.bank.executor().run(at_most=100)
        world.bank.read()
        none_of(invariants.broken())
        if _is_quiet():
            return turn
        world.pass_time(61)
    open_ones = Settlement.objects.open().values_list("kind", "state", "waiting_for", "destination")
    raise AssertionError(f"not quiet: {list(open_ones)}")


def judge(world: World, deals: list[Deal]) -> None:
    """Nothing is owed any more, and everybody has what the model says, by the chain's word."""
    none_of(f"still owed: {code}, {nano}" for code, nano in rows(_OWED))
    none_of(f"still in transit: {nano}" for (nano,) in rows(_IN_TRANSIT) if nano)
    none_of(f"{name}: {findings}" for name, findings in checks.run_all().items())
    for wallet in Wallet.objects.all():
        _equal(world.chain.balance(wallet.address), wallet.balance_nano, f"on chain, {wallet}")
    came = invariants.came()
    for deal in deals:
        _equal(came.get(str(deal.reference), 0), sum(deal.arrived), f"came for {deal}")
        judge_owner(world, deal)
        _equal(_held(world, deal.owner_at), deal.owner_nano, f"the owner of {deal}")
        _judge_advertiser(world, deal)
    for settlement in Settlement.objects.filter(kind=RETURN):
        _judge_return(world, settlement)


def judge_owner(world: World, deal: Deal) -> None:
    """The owner has what was earned, once, or nothing yet."""
    received = _received(world, deal.owner_at)
    if received not in ([], [deal.owner_nano]):
        raise AssertionError(f"the owner received {received}: {deal}")


def _judge_advertiser(world: World, deal: Deal) -> None:
    """The advertiser has the rest, less the fees of the refunds and what was not worth them."""
    sent = TonTransaction.objects.filter(
        settlement__reference=deal.reference,
        settlement__kind__in=REFUNDS - {RETURN},
        state=TonTransaction.State.CONFIRMED,
    )
    withheld = list(sent.values_list("withheld_nano", flat=True))
    if any(not 0 < nano <= MOST_WITHHELD_NANO for nano in withheld):
        raise AssertionError(f"refunds withheld {withheld}: {deal}")
    [(written_off,)] = rows(_WRITTEN_OFF, {"reference": str(deal.reference)})
    most = deal.given_up_nano + len(deal.arrived) * MOST_WITHHELD_NANO
    if not 0 <= written_off <= most:
        raise AssertionError(f"{written_off} written off, not {most} at the most: {deal}")
    expected = deal.advertiser_nano - sum(withheld) - written_off
    _equal(_held(world, deal.advertiser_at), expected, f"the advertiser of {deal}")


def _judge_return(world: World, settlement: Settlement) -> None:
    """What came unasked went back once, less its fee, or stayed."""
    sent = settlement.chain_transactions.filter(state=TonTransaction.State.CONFIRMED)
    withheld = list(sent.values_list("withheld_nano", flat=True))
    if any(not 0 < nano <= MOST_WITHHELD_NANO for nano in withheld):
        raise AssertionError(f"{settlement} withheld {withheld}")
    expected = [settlement.amount_nano - nano for nano in withheld]
    if settlement.destination != world.refuser or expected:
        received = _received(world, {settlement.destination})
        if received != expected or bool(expected) != (settlement.state == "CONFIRMED"):
            raise AssertionError(f"{settlement}: {received} came, not {expected}")


def _equal(found: int, expected: int, who: str) -> None:
    if found != expected:
        raise AssertionError(f"{found}, not {expected}: {who}")


def _let_operators_act(world: World, deals: list[Deal]) -> None:
    for deposit in Deposit.objects.filter(state=Deposit.State.REVIEW):
        world.ask("deposit.approve", deposit_id=deposit.pk, nano=deposit.amount_nano)
    for wallet in Wallet.objects.exclude(frozen_at=None):
        world.ask("wallet.unfreeze", subwallet=wallet.subwallet)
    by_reference = {deal.reference: deal for deal in deals}
    for settlement in Settlement.objects.open():
        payload: dict[str, Any] = {
            "settlement_id": str(settlement.pk),
            "nano": settlement.amount_nano,
        }
        deal = by_reference.get(settlement.reference)
        if deal is not None and _has_nowhere_to_go(world, settlement):
            address = world.address()
            world.ask("settlement.change_destination", address=address, **payload)
            deal.note(operation="change_destination", kind=settlement.kind, address=address)
        if settlement.state == Settlement.State.HELD:
            settlement.refresh_from_db()
            world.ask("settlement.release", held_for=settlement.waiting_for, **payload)
        elif settlement.state == Settlement.State.NEEDS_OPERATOR:
            world.ask("settlement.retry", **payload)


def _has_nowhere_to_go(world: World, settlement: Settlement) -> bool:
    return (
        settlement.destination == world.refuser
        or "recipient's contract" in settlement.waiting_for
        or "address" in settlement.waiting_for
    ) and settlement.state in ("QUEUED", "HELD", "NEEDS_OPERATOR")


def _end(deals: list[Deal]) -> None:
    look(deals)
    for deal in deals:
        state = Escrow.objects.values_list("state", flat=True).get(reference=deal.reference)
        if state == Escrow.State.AWAITING:
            with contextlib.suppress(services.EscrowNotEmpty, services.ChainBehind):
                acts.close(deal, expired=False)
        elif state == Escrow.State.FUNDED:
            (acts.release if deal.owner_id % 2 else acts.refund)(deal)
    look(deals)


def look(deals: list[Deal]) -> None:
    """Let each deal see what the books say of it."""
    by_reference = {str(deal.reference): deal for deal in deals}
    none_of(
        by_reference[reference].goes_to(state, nano)
        for reference, state, nano in invariants.escrows()
    )


def _is_quiet() -> bool:
    undecided = Deposit.objects.exclude(state=Deposit.State.ALLOCATED)
    going_on = Escrow.objects.filter(state__in=[Escrow.State.AWAITING, Escrow.State.FUNDED])
    open_ones = Settlement.objects.open()
    partial = Escrow.objects.exclude(partial_since_at=None)
    return not any(one.exists() for one in (undecided, going_on, open_ones, partial))


def _held(world: World, addresses: set[str]) -> int:
    return sum(_received(world, addresses))


def _received(world: World, addresses: set[str]) -> list[int]:
    return [
        int(one["in_msg"]["value"])
        for address in sorted(addresses)
        for one in world.chain.transactions(address)
    ]


def _address_of_the_treasury() -> str:
    return Wallet.objects.values_list("address", flat=True).get(subwallet=0)
