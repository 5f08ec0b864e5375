"""The proof of reserves asks the chain itself, and judges only what stands still."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db.models import F

from advertmarket.actors import Actor
from ops.models import ReconciliationResult, ReconciliationRun
from ops.reconciliation import reconcile
from payments.chain import proof
from payments.chain.proof import Held, Proof
from payments.models import ChainCursor, Wallet
from payments.ton import client
from payments.ton.client import TonUnavailable
from payments.ton.schema import WalletState
from tests.payments.bank import PRICE_NANO, Bank

pytestmark = pytest.mark.leaves_findings


@pytest.fixture(params=["v3", pytest.param("v2", marks=pytest.mark.thorough)])
def api_version(request: pytest.FixtureRequest) -> str:
    """Each way of speaking with the chain."""
    version: str = request.param
    return version


def prove(bank: Bank) -> Proof:
    """Prove without patience."""
    return proof.prove(bank.api, patience_s=0, sleep=lambda _: None)


def numbers(found: Sequence[Held]) -> list[int]:
    return [held.subwallet for held in found]


def test_every_wallet_holds_what_the_books_say(bank: Bank) -> None:
    bank.fund_treasury()
    bank.payout_due()
    bank.settle()

    found = prove(bank)

    assert found.wallets == Wallet.objects.count() == 4
    assert found.chain_nano == sum(Wallet.objects.values_list("balance_nano", flat=True)) > 0
    assert (found.differing, found.moving) == ([], [])


def test_a_wallet_that_has_just_moved_is_looked_at_again(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    bank.chain.mine()

    before = prove(bank)
    after = proof.prove(bank.api, patience_s=60, sleep=lambda _: bank.read())

    assert (before.differing, numbers(before.moving)) == ([], [bank.wallet(reference).subwallet])
    assert (after.differing, after.moving) == ([], [])


def test_a_chain_that_lags_behind_the_books_proves_nothing(bank: Bank) -> None:
    bank.fund_treasury()
    Wallet.objects.filter(subwallet=0).update(last_lt=F("last_lt") + 1)

    found = prove(bank)

    assert (found.differing, numbers(found.moving)) == ([], [0])


def test_a_sum_that_books_and_tables_agree_about_and_the_chain_does_not(bank: Bank) -> None:
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    bank.chain.faucet(wallet.address, 7)
    bank.chain.mine()
    state = bank.client.wallet_state(wallet.address)

    Wallet.objects.filter(pk=wallet.pk).update(last_lt=state.last_transaction_lt)

    found = prove(bank)
    [held] = found.differing
    assert (held.subwallet, held.books_nano) == (wallet.subwallet, PRICE_NANO)
    assert held.chain_nano == state.balance != PRICE_NANO
    assert found.moving == []


def test_a_chain_transaction_that_the_reader_passed_over_is_found(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    bank.chain.mine()
    head = bank.api.head().seqno

    ChainCursor.objects.update(seqno=head, head_seqno=head)

    found = prove(bank)
    assert numbers(found.differing) == [bank.wallet(reference).subwallet]
    assert found.differing[0].books_lt < found.differing[0].chain_lt


# --- in a full run --------------------------------------------------------------------------------


def full_run() -> ReconciliationResult:
    """Run everything; return what was said of the chain."""
    run = reconcile(ReconciliationRun.Kind.FULL, asked_by=Actor.system("test"))
    assert run.results.filter(number=15).count() == 2
    said = run.results.get(name="wallets_hold_the_same_on_chain")
    assert run.passed is said.passed
    return said


def test_a_full_run_asks_the_chain(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "reading", lambda: bank.api)
    bank.fund_treasury()

    said = full_run()

    assert (said.passed, said.error) == (True, "")
    assert said.figures == {
        "wallets": 4,
        "on_chain_nano": bank.treasury().balance_nano,
        "never_at_rest": 0,
    }


def test_a_chain_that_is_away_proves_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise TonUnavailable(reason="it is away")

    monkeypatch.setattr(client, "reading", away)

    said = full_run()

    assert (said.passed, said.found) == (None, 0)
    assert "it is away" in said.error


def test_wallets_that_are_never_at_rest_are_told(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.fund_treasury()
    monkeypatch.setattr(client, "reading", lambda: bank.api)
    monkeypatch.setattr(proof, "_PAUSE_S", 0)
    monkeypatch.setattr(bank.api, "wallet_states", behind)

    said = full_run()

    assert (said.passed, said.error) == (None, "1 wallets were not seen at rest, such as 0")


def behind(addresses: Sequence[str]) -> dict[str, WalletState]:
    """What a node says that has not seen a wallet's last chain transaction."""
    return {address: WalletState(balance=0) for address in addresses}


def test_what_the_chain_holds_otherwise_is_a_finding(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "reading", lambda: bank.api)
    monkeypatch.setattr(proof, "_PAUSE_S", 0)
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    bank.chain.mine()
    head = bank.api.head().seqno
    ChainCursor.objects.update(seqno=head, head_seqno=head)

    said = full_run()

    wallet = bank.wallet(reference)
    assert (said.passed, said.found) == (False, 1)
    [[subject, problem]] = said.rows
    assert subject == f"wallet {wallet.subwallet}"
    state = bank.client.wallet_state(wallet.address)
    shown = f"chain {state.balance} at lt {state.last_transaction_lt}"
    assert problem == f"{shown}, books 0 at lt 0"
    assert f"'{{{wallet.subwallet}}}'" in said.sql
