"""A payout that the recipient's contract sends back: whole again in the books, held for people."""

from __future__ import annotations

import pytest

from advertmarket.messaging.models import OutboxMessage
from payments.books import ledger
from payments.books.chart import PerDeal, PerWallet
from payments.models import Journal, Settlement
from payments.sending.executor import Executor
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.lines import before, line_of
from tests.payments.overlooking import confirmed_although_it_bounces
from tests.payments.threads import elsewhere


@pytest.fixture(params=["v3", "v2"])
def api_version(request: pytest.FixtureRequest) -> str:
    """Each way of speaking with the chain."""
    version: str = request.param
    return version


@pytest.fixture
def refuser(bank: Bank) -> str:
    """The address of a contract that takes no money; the owner wants payouts there."""
    address = deploy_refuser(bank)
    bank.set_payout_address(address=address)
    return address


def test_a_bounced_payout_is_owed_again_in_full_and_held(bank: Bank, refuser: str) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    held_before = bank.chain.balance(refuser)

    bank.settle()

    settlement = bank.settlement(reference)
    assert bank.attempts(reference) == ["BOUNCED"]
    assert settlement.state == Settlement.State.HELD
    assert settlement.waiting_for == "the recipient's contract sent it back"
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == OWNER_SHARE_NANO
    assert ledger.balance(PerWallet.BOUNCED.of(bank.wallet(reference).subwallet)) == 0
    assert bank.chain.balance(refuser) <= held_before
    assert not OutboxMessage.objects.filter(event_type="SETTLEMENT_CONFIRMED").exists()
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").count() == 1


def test_the_way_there_and_back_is_the_platforms_cost(bank: Bank, refuser: str) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)

    bank.settle()

    wallet = bank.wallet(reference)
    on_chain = bank.chain.balance(wallet.address)
    assert wallet.balance_nano == on_chain
    assert PRICE_NANO - 20_000_000 < on_chain < PRICE_NANO
    assert ledger.balance(PerDeal.COMMISSION.of(reference)) == PRICE_NANO - OWNER_SHARE_NANO
    bounce = Journal.objects.get(kind=Journal.Kind.BOUNCE)
    assert sum(posting.amount_nano for posting in bounce.postings.all()) == OWNER_SHARE_NANO


def test_a_bounced_payout_is_no_deposit(bank: Bank, refuser: str) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)

    bank.settle()

    assert bank.escrow(reference).deposits.count() == 1
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == 0


def test_a_bounced_payout_is_not_sent_again_by_itself(bank: Bank, refuser: str) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.settle()

    bank.settle(turns=3)

    assert bank.attempts(reference) == ["BOUNCED"]
    assert bank.wallet(reference).expected_seqno == 1


def test_a_recipient_that_refused_is_not_confirmed_while_the_money_is_on_its_way_back(
    bank: Bank, refuser: str
) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    bank.read()
    bank.chain.mine()

    bank.execute()

    assert bank.attempts(reference) == ["LANDED"]
    assert bank.settlement(reference).waiting_for == "the bounced money"


def test_a_bounce_booked_while_the_attempt_is_being_confirmed_wins(
    bank: Bank, refuser: str
) -> None:
    """A node that shows the recipient's side wrongly must not turn a bounce into a payment."""
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    bank.read()

    def bounce() -> None:
        bank.read()
        bank.read()

    with before(line_of(Executor._confirm, "received = receipt_of"), lambda: elsewhere(bounce)):
        bank.execute()

    assert bank.attempts(reference) == ["BOUNCED"]
    assert bank.settlement(reference).state == Settlement.State.HELD


def test_the_refused_money_can_be_paid_again(bank: Bank, refuser: str) -> None:
    """What an operator's release will do: queue it again, once there is another address."""
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.settle()
    bank.set_payout_address()
    Settlement.objects.update(state=Settlement.State.QUEUED)

    with bank.pass_time(24 * 3600 + 60):
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(reference) == ["BOUNCED", "CONFIRMED"]
    assert bank.wallet(reference).expected_seqno == 2


def test_what_bounces_after_a_node_said_that_it_arrived_is_owed_again_and_held(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = confirmed_although_it_bounces(bank, monkeypatch)
    assert bank.settlement(reference).state == Settlement.State.CONFIRMED

    bank.settle()

    payout = bank.settlement(reference)
    assert (payout.state, payout.confirmed_at) == (Settlement.State.HELD, None)
    assert bank.attempts(reference) == ["BOUNCED"]
    assert bank.holds(reference)["OWNER_PENDING"] == OWNER_SHARE_NANO
    assert ledger.balance(PerWallet.BOUNCED.of(bank.wallet(reference).subwallet)) == 0
