"""Wallets that an operator stops, or lets sign again."""

from __future__ import annotations

import base64

import pytest

from advertmarket.audit.models import AuditEntry
from advertmarket.state import redis_state
from payments.models import OperatorRequest, Settlement
from payments.operations.wallets import NotAsTheChainHasIt
from payments.sending.executor import Executor
from payments.sending.pause import PAUSE_KEY
from payments.wallets import NoSuchWallet
from tests.payments.bank import OWNER_SHARE_NANO, Bank
from tests.payments.lines import before, line_of
from tests.payments.operations.desk import REASON, Desk, nothing_changes

pytestmark = pytest.mark.thorough

ASKED = (OperatorRequest, AuditEntry)
TON = 1_000_000_000


def test_a_frozen_wallet_signs_nothing(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()

    desk.do("wallet.freeze", subwallet=bank.wallet(reference).subwallet)
    bank.settle(turns=2)

    assert bank.wallet(reference).frozen_reason == f"an operator: {REASON}"
    assert bank.attempts(reference) == []
    settlement = bank.settlement(reference)
    assert settlement.state == Settlement.State.QUEUED
    assert settlement.waiting_for == f"the wallet is frozen: an operator: {REASON}"


def test_a_wallet_that_agrees_with_the_chain_signs_again(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    subwallet = bank.wallet(reference).subwallet
    desk.do("wallet.freeze", subwallet=subwallet)
    bank.execute()

    request = desk.do("wallet.unfreeze", subwallet=subwallet)
    desk.on("settlement.retry", bank.settlement(reference))
    bank.settle()

    assert request.needs_second
    assert bank.wallet(reference).frozen_at is None
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_a_wallet_with_money_that_is_not_booked_stays_frozen(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    desk.do("wallet.freeze", subwallet=wallet.subwallet)
    bank.chain.faucet(wallet.address, TON)
    bank.chain.mine()

    with nothing_changes(but=ASKED), pytest.raises(NotAsTheChainHasIt):
        desk.do("wallet.unfreeze", subwallet=wallet.subwallet)


@pytest.mark.leaves_findings
@pytest.mark.parametrize("is_read", [False, True])
def test_a_wallet_that_sent_what_we_did_not_sign_stays_frozen(
    desk: Desk, bank: Bank, is_read: bool
) -> None:
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    signed = bank.signer.sign_transfer(
        subwallet=wallet.subwallet,
        seqno=0,
        valid_until=bank.chain.now() + 60,
        destination="0:" + "ab" * 32,
        amount_nano=TON,
        comment="",
        bounce=False,
        deploy=True,
    )
    desk.do("wallet.freeze", subwallet=wallet.subwallet)
    assert bank.client.send(base64.b64encode(signed.boc).decode()) == "ok"
    bank.chain.mine()
    if is_read:
        bank.read()

    with nothing_changes(but=ASKED), pytest.raises(NotAsTheChainHasIt):
        desk.do("wallet.unfreeze", subwallet=wallet.subwallet)


@pytest.mark.parametrize("name", ["wallet.freeze", "wallet.unfreeze"])
def test_a_wallet_that_is_not_there_is_refused(desk: Desk, name: str) -> None:
    with nothing_changes(), pytest.raises(NoSuchWallet):
        desk.do(name, subwallet=1_000_000)


def test_what_was_signed_and_never_sent_stays_here_once_its_wallet_is_frozen(
    desk: Desk, bank: Bank
) -> None:
    """A pause came between signature and broadcast, and was lifted for the others."""
    reference = bank.payout_due()

    def pause_payouts() -> None:
        redis_state().set(PAUSE_KEY, "1")

    with before(line_of(Executor._broadcast, "answer = self._client.send("), pause_payouts):
        bank.execute()
    assert bank.attempts(reference) == ["SIGNED"]
    desk.do("wallet.freeze", subwallet=bank.wallet(reference).subwallet)
    redis_state().delete(PAUSE_KEY)

    bank.settle()

    assert bank.attempts(reference) == ["SIGNED"]
    assert bank.owner_received() == []
