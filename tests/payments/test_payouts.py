"""The settlement protocol on the real executor, judged by the balances of the chain itself."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.state import redis_state
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.models import ChainCursor, Settlement, TonTransaction, Wallet
from payments.sending import executor
from payments.sending.executor import make_signer
from payments.sending.transfers import Plan
from payments.ton.wallet import new_mnemonic
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank


@pytest.fixture(params=["v3", "v2"])
def api_version(request: pytest.FixtureRequest) -> str:
    """Each way of speaking with the chain."""
    version: str = request.param
    return version


def test_the_owner_receives_the_share_to_the_nano(bank: Bank) -> None:
    reference = bank.payout_due()

    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.settlement(reference).state == Settlement.State.CONFIRMED
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_the_books_follow_the_payout_to_the_nano(bank: Bank) -> None:
    reference = bank.payout_due()

    bank.settle()

    wallet = bank.wallet(reference)
    assert ledger.balance(PerDeal.ESCROW.of(reference)) == 0
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == 0
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == PRICE_NANO - OWNER_SHARE_NANO
    assert wallet.balance_nano == bank.chain.balance(wallet.address)
    assert wallet.expected_seqno == 1


def test_a_payout_that_is_confirmed_is_never_touched_again(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.settle()

    bank.settle(turns=3)

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_a_comment_travels_with_the_payout(bank: Bank) -> None:
    bank.set_payout_address(comment="memo 42")
    bank.release(bank.funded_escrow())

    bank.settle()

    [received] = bank.chain.transactions(bank.owner.raw_address)
    assert received["in_msg"]["message_content"]["decoded"]["comment"] == "memo 42"


def test_without_a_payout_address_nothing_is_signed(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)

    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).waiting_for == "a payout address"
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == OWNER_SHARE_NANO


def test_the_payout_goes_out_by_itself_once_there_is_an_address(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.settle(turns=1)

    bank.set_payout_address()
    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.settlement(reference).state == Settlement.State.CONFIRMED


# --- the answer to the broadcast says nothing ---------------------------------------------------


def test_a_lost_answer_pays_once(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.chain.fault(bank.broadcast, "lost_answer", times=1)

    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_a_connection_that_breaks_pays_once(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.chain.fault(bank.broadcast, "lost_answer", times=1, status=0)

    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_a_dropped_message_is_sent_again_as_the_same_bytes(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.chain.fault(bank.broadcast, "swallow", times=1)
    bank.settle(turns=2)
    assert bank.owner_has() == 0

    with bank.pass_time(20):
        bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


@pytest.mark.parametrize(
    ("read_up_to_s", "state"), [(-119, "SUBMITTED"), (60, "SUBMITTED"), (61, "EXPIRED")]
)
def test_an_attempt_is_given_up_once_no_block_can_hold_it(
    bank: Bank, read_up_to_s: int, state: str
) -> None:
    """A minute after its last valid second, by the blocks that are read."""
    reference = bank.payout_due()
    bank.chain.fault(bank.broadcast, "swallow", times=1)
    bank.execute()
    valid_until_at = TonTransaction.objects.values_list("valid_until_at", flat=True).get(
        settlement__reference=reference
    )
    assert valid_until_at is not None
    read_up_to = valid_until_at + dt.timedelta(seconds=read_up_to_s)
    ChainCursor.objects.update(block_at=read_up_to)
    Settlement.objects.update(due_at=timezone.now())

    bank.execute()

    assert bank.attempts(reference) == [state]


def test_a_message_that_never_lands_is_signed_anew_with_the_same_seqno(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.chain.fault(bank.broadcast, "swallow", times=1)
    bank.settle(turns=1)

    with bank.pass_time(200):
        bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["EXPIRED", "CONFIRMED"]
    seqnos = TonTransaction.objects.filter(settlement__reference=reference)
    assert set(seqnos.values_list("seqno", flat=True)) == {0}


@pytest.mark.thorough
def test_a_storm_of_429_delays_and_pays_once(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.chain.rate_limited("*", times=2)

    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_a_message_that_lands_and_sends_nothing_pays_nobody(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In mode 3 a transfer that the balance does not cover is skipped, and its seqno counts."""
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, owner_share_nano=PRICE_NANO)
    with monkeypatch.context() as overspend:
        overspend.setattr(executor, "plan", lambda **_: Plan(PRICE_NANO))
        bank.execute()

    bank.read()

    wallet = bank.wallet(reference)
    assert bank.attempts(reference) == ["FAILED"]
    assert bank.owner_received() == []
    assert bank.settlement(reference).state == Settlement.State.QUEUED
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == PRICE_NANO
    assert wallet.expected_seqno == 1
    assert wallet.balance_nano == PRICE_NANO - bank.fees(wallet)


# --- what anyone can do with a public message ---------------------------------------------------


def test_a_re_wrapped_body_is_recognised(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.execute()
    attempt = TonTransaction.objects.get(settlement__reference=reference)
    assert attempt.boc is not None

    plain_hash = bank.chain.rewrap(boc=bytes(attempt.boc))
    bank.settle()

    assert plain_hash != attempt.msg_hash
    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_foreign_use_of_the_key_freezes_the_wallet_before_any_signature(bank: Bank) -> None:
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    thief = PersonsWallet("thief")
    _sign_behind_our_back(wallet, thief, bank)

    bank.execute()

    assert bank.attempts(reference) == []
    assert bank.wallet(reference).frozen_reason == "the chain's seqno is 1, ours 0"
    assert bank.settlement(reference).state == Settlement.State.NEEDS_OPERATOR
    assert bank.owner_has() == 0


@pytest.mark.leaves_findings
def test_a_landed_message_that_we_did_not_sign_freezes_the_wallet(bank: Bank) -> None:
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    _sign_behind_our_back(wallet, PersonsWallet("thief"), bank)

    bank.read()

    row = TonTransaction.objects.get(wallet=wallet, direction="OUT")
    assert row.state == TonTransaction.State.FOREIGN
    assert "did not sign" in bank.wallet(reference).frozen_reason


def _sign_behind_our_back(wallet: Wallet, thief: PersonsWallet, bank: Bank) -> None:
    signed = make_signer().sign_transfer(
        subwallet=wallet.subwallet,
        seqno=0,
        valid_until=4_000_000_000,
        destination=thief.raw_address,
        amount_nano=1,
        comment="",
        bounce=False,
        deploy=True,
    )
    assert bank.client.send(base64.b64encode(signed.boc).decode()) == "ok"
    bank.chain.mine(2)


# --- nodes, clocks, balances ---------------------------------------------------------------------


def test_nothing_is_signed_while_the_clocks_disagree(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.chain.advance(31)

    bank.execute()

    assert bank.attempts(reference) == []
    assert "chain time" in bank.settlement(reference).waiting_for


def test_a_node_that_is_behind_is_waited_for(bank: Bank) -> None:
    """Its seqno is that of before a landed message: signing with it would pay twice."""
    reference = bank.payout_due()
    Wallet.objects.filter(reference=reference).update(expected_seqno=1)

    bank.execute()

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).state == Settlement.State.QUEUED
    assert "not behind" in bank.settlement(reference).waiting_for
    Wallet.objects.filter(reference=reference).update(expected_seqno=0)


def test_a_wallet_that_cannot_cover_debts_and_gas_does_not_sign(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, owner_share_nano=PRICE_NANO)

    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert "a gas top-up of" in bank.settlement(reference).waiting_for
    assert bank.chain.balance(bank.wallet(reference).address) == PRICE_NANO


# --- pause ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "0", ""])
def test_nothing_is_signed_while_the_flag_is_set(bank: Bank, value: str) -> None:
    reference = bank.payout_due()
    redis_state().set("system:pause_payouts", value)

    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert bank.owner_has() == 0


def test_a_redis_that_lost_its_memory_pauses(bank: Bank) -> None:
    reference = bank.payout_due()
    redis_state().flushall()

    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert "lost its memory" in bank.settlement(reference).waiting_for


def test_what_waited_is_sent_once_after_the_pause(bank: Bank) -> None:
    reference = bank.payout_due()
    redis_state().set("system:pause_payouts", "1")
    bank.settle(turns=1)
    redis_state().delete("system:pause_payouts")

    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_a_pause_between_signature_and_broadcast_lets_the_attempt_expire(bank: Bank) -> None:
    reference = bank.payout_due()
    executor = bank.executor()
    [pk] = executor._take(1)
    executor._sign(Settlement.objects.select_related("wallet").get(pk=pk))
    executor._finish(pk)
    redis_state().set("system:pause_payouts", "1")

    bank.settle(turns=2)
    assert bank.attempts(reference) == ["SIGNED"]
    assert bank.owner_has() == 0

    with bank.pass_time(200):
        bank.settle(turns=2)
        assert bank.attempts(reference) == ["EXPIRED"]
        redis_state().delete("system:pause_payouts")
        bank.settle()
    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["EXPIRED", "CONFIRMED"]


def test_the_signer_refuses_a_mnemonic_of_another_key(settings: Settings) -> None:
    settings.TON_WALLET_MNEMONIC = new_mnemonic()

    with pytest.raises(ValueError, match="not the mnemonic of"):
        make_signer()
