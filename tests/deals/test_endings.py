"""Deals that end before an ad has earned its price: what was paid goes back, once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.actors import Actor
from deals import consumers, endings, selectors, services, sweeps
from deals.delivery.draft import Draft
from deals.lifecycle import IllegalTransition
from deals.models import PostAttempt
from deals.permissions import DealNotFound
from payments.events import DepositConfirmed, DepositRejected, EscrowSettled
from payments.models import ChainCursor, Deposit, Escrow, Settlement
from payments.operations import requests
from tests.operators import hire
from tests.payments.threads import together

from .market import (
    ADVERTISER,
    OUTSIDER,
    OWNER,
    PRICE_NANO,
    SYSTEM,
    FundedMarket,
    LiveMarket,
    Market,
    later,
    nothing_changes,
    shown,
)

DAY_AND_GRACE_S = 86_400 + 301


def settlements(deal_id: UUID) -> list[tuple[str, int]]:
    rows = Settlement.objects.filter(reference=deal_id).order_by("created_at")
    return list(rows.values_list("kind", "amount_nano"))


def escrow_state(deal_id: UUID) -> str:
    return Escrow.objects.get(reference=deal_id).state


def assert_refunded_once(market: FundedMarket, deal_id: UUID) -> None:
    """Anna has the whole price less the fee of sending it, and nobody has anything else."""
    assert settlements(deal_id) == [("REFUND", PRICE_NANO)]
    assert PRICE_NANO - 20_000_000 < market.annas_nano() < PRICE_NANO
    assert market.bank.owner_has() == 0
    assert escrow_state(deal_id) == "REFUNDED"


# --- Deadlines ------------------------------------------------------------------------------------


def test_a_paid_deal_without_an_ad_expires_and_is_refunded(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()

    with later(timedelta(hours=72, minutes=4)):
        sweeps.end_overdue_deals()
        assert funded_market.status(deal_id) == "FUNDED"
    with later(timedelta(hours=72, minutes=6)):
        sweeps.end_overdue_deals()
        with nothing_changes():
            sweeps.end_overdue_deals()
    funded_market.settle()

    assert funded_market.status(deal_id) == "EXPIRED"
    assert funded_market.events(deal_id)[-1] == "DEAL_EXPIRED"
    assert_refunded_once(funded_market, deal_id)


def test_an_approved_ad_that_is_not_scheduled_in_time_is_refunded(
    funded_market: FundedMarket,
) -> None:
    deal_id = funded_market.approved()

    with later(timedelta(hours=48, minutes=6)):
        sweeps.end_overdue_deals()

    assert funded_market.status(deal_id) == "EXPIRED"
    assert settlements(deal_id) == [("REFUND", PRICE_NANO)]


def test_an_ad_that_nobody_approves_is_disputed_not_refunded(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()

    with later(timedelta(hours=48, minutes=6)):
        sweeps.end_overdue_deals()
        with nothing_changes():
            sweeps.end_overdue_deals()

    assert funded_market.disputed_for(deal_id) == "NOT_APPROVED"
    assert (settlements(deal_id), escrow_state(deal_id)) == ([], "FUNDED")


def test_an_ad_that_was_never_sent_is_refunded(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault(
        "sendMessage",
        chat_id=live_market.channel_id,
        code=403,
        description="Forbidden: bot is not a member of the channel chat",
    )
    live_market.post()

    with later(timedelta(hours=24, minutes=6)):
        sweeps.end_overdue_deals()
        live_market.post()

    assert (live_market.status(deal_id), live_market.posts()) == ("EXPIRED", [])
    assert settlements(deal_id) == [("REFUND", PRICE_NANO)]


def test_an_ad_that_may_be_there_is_disputed_not_refunded(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault(
        "sendMessage", chat_id=live_market.channel_id, executes=True, lost=True
    )
    live_market.post()

    with later(timedelta(hours=24, minutes=6)):
        sweeps.end_overdue_deals()
        with nothing_changes():
            live_market.post()

    assert live_market.disputed_for(deal_id) == "NOT_POSTED"
    assert (settlements(deal_id), escrow_state(deal_id)) == ([], "FUNDED")
    assert PostAttempt.objects.get(deal_id=deal_id).state == "UNRESOLVED"


def test_sweepers_at_once_refund_once(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()

    with later(timedelta(hours=72, minutes=6)):
        for sweep in together(*[sweeps.end_overdue_deals] * 3):
            sweep.result()

    assert funded_market.history(deal_id).count("EXPIRE") == 1
    assert settlements(deal_id) == [("REFUND", PRICE_NANO)]


# --- Cancelled by both ----------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(ADVERTISER, OWNER), (OWNER, ADVERTISER)])
def test_a_paid_deal_is_cancelled_by_both_together(
    funded_market: FundedMarket, first: Actor, second: Actor
) -> None:
    deal_id = funded_market.funded()
    deadline_at = funded_market.deal(deal_id).deadline_at

    funded_market.do(endings.cancel_deal, deal_id, first, reason="no time")
    with nothing_changes():
        funded_market.do(endings.cancel_deal, deal_id, first)
    deal = funded_market.deal(deal_id)
    assert (deal.status, deal.deadline_at) == ("FUNDED", deadline_at)
    assert selectors.get_deal(deal_id, actor=first).actions.count("AGREE_TO_CANCEL") == 0
    assert "AGREE_TO_CANCEL" in selectors.get_deal(deal_id, actor=second).actions
    assert settlements(deal_id) == []
    funded_market.do(endings.cancel_deal, deal_id, second)
    funded_market.settle()

    assert funded_market.history(deal_id)[-2:] == ["ASK_TO_CANCEL", "AGREE_TO_CANCEL"]
    assert funded_market.events(deal_id)[-2:] == ["CANCELLATION_ASKED", "DEAL_CANCELLED"]
    assert funded_market.status(deal_id) == "CANCELLED"
    assert_refunded_once(funded_market, deal_id)


def test_work_goes_on_until_the_other_side_agrees(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()
    funded_market.do(endings.cancel_deal, deal_id, ADVERTISER)

    ad = Draft("Fresh coffee")
    funded_market.do(services.submit_creative, deal_id, OWNER, draft=ad, parts=shown(ad))

    assert funded_market.deal(deal_id).cancel_asked_by == ""
    with nothing_changes(), pytest.raises(IllegalTransition):
        funded_market.do(endings.cancel_deal, deal_id, OWNER)


def test_a_stranger_asks_for_nothing(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()

    with nothing_changes(), pytest.raises(DealNotFound):
        funded_market.do(endings.cancel_deal, deal_id, OUTSIDER)


# --- Deposits that an operator rejects, or that were in time after all ----------------------------


def test_a_rejected_deposit_cancels_the_deal_and_goes_back(
    funded_market: FundedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.deposits.rule.REVIEW_ABOVE_NANO", PRICE_NANO - 1)
    deal_id = funded_market.awaiting_payment()
    funded_market.give_refund_address(deal_id)
    funded_market.pay(deal_id)
    sweeps.fund_deals()
    assert funded_market.status(deal_id) == "AWAITING_PAYMENT"
    deposit = Deposit.objects.get()

    reject(deposit)
    event = DepositRejected(deal_id=deal_id, deposit_id=deposit.pk, amount_nano=PRICE_NANO)
    funded_market.do(
        lambda *, deal_id, actor, at: consumers.cancel_deal(event, at=at), deal_id, SYSTEM
    )
    with nothing_changes():
        funded_market.do(endings.cancel_rejected, deal_id, SYSTEM)
    funded_market.settle()

    assert funded_market.status(deal_id) == "CANCELLED"
    assert funded_market.history(deal_id)[-1] == "REJECT_DEPOSIT"
    assert settlements(deal_id) == [("REFUND", PRICE_NANO)]
    assert PRICE_NANO - 20_000_000 < funded_market.annas_nano() < PRICE_NANO


def reject(deposit: Deposit) -> None:
    """An operator says no."""
    ask("deposit.reject", {"deposit_id": deposit.pk, "nano": deposit.amount_nano})


def operator(name: str) -> Actor:
    """Somebody who may ask for operations, and approve them."""
    return Actor.operator(hire(name, "operate_money", "approve_money"))


def ask(name: str, payload: dict[str, object]) -> None:
    """One operator asks for an operation, and another approves it where it takes two."""
    seen = {"evidence": requests.look(name, payload), "at": timezone.now()}
    with transaction.atomic():
        asked = requests.ask(
            name=name, payload=payload, reason="smells", actor=operator("one"), **seen
        )
        if asked.state == asked.State.PENDING:
            requests.approve(request_id=asked.pk, actor=operator("two"), **seen)


def test_a_rejection_that_payments_does_not_know_of_is_refused(
    funded_market: FundedMarket,
) -> None:
    deal_id = funded_market.awaiting_payment()

    with nothing_changes(), pytest.raises(endings.NotRejected):
        funded_market.do(endings.cancel_rejected, deal_id, SYSTEM)


def test_a_deposit_that_was_in_time_revives_an_expired_deal(moving_market: FundedMarket) -> None:
    deal_id = moving_market.awaiting_payment()
    moving_market.bank.chain.faucet(moving_market.bank.wallet(deal_id).address, PRICE_NANO)
    moving_market.bank.chain.mine()  # on chain, and not read yet

    with moving_market.bank.pass_time(DAY_AND_GRACE_S):
        expire_as_if_read(moving_market, deal_id)
        moving_market.bank.read()
        moving_market.bank.apply_deposits()
        sweeps.fund_deals()
        with nothing_changes():
            sweeps.fund_deals()
            moving_market.do(
                lambda *, deal_id, actor, at: consumers.fund_deal(
                    DepositConfirmed(deal_id=deal_id, amount_nano=PRICE_NANO), at=at
                ),
                deal_id,
                SYSTEM,
            )
        deal = moving_market.deal(deal_id)

    assert moving_market.history(deal_id)[-2:] == ["EXPIRE", "FUND"]
    assert (deal.status, escrow_state(deal_id)) == ("FUNDED", "FUNDED")
    assert deal.deadline_at == deal.status_since_at + timedelta(hours=72)


def expire_as_if_read(market: FundedMarket, deal_id: UUID) -> None:
    """The cursor claims to be past the deadline: a reader that skipped the wallet's block."""
    cursor = ChainCursor.objects.get()
    ChainCursor.objects.update(block_at=timezone.now())
    sweeps.end_overdue_deals()
    ChainCursor.objects.update(block_at=cursor.block_at)
    assert market.status(deal_id) == "EXPIRED"


def test_a_deal_that_expired_with_its_refund_is_not_revived(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()
    with later(timedelta(hours=72, minutes=6)):
        sweeps.end_overdue_deals()

    with nothing_changes():
        sweeps.fund_deals()
        funded_market.do(services.fund_deal, deal_id, SYSTEM)
    assert funded_market.status(deal_id) == "EXPIRED"


# --- The settlement of what is over ---------------------------------------------------------------


def test_a_message_of_a_settled_escrow_leaves_what_is_over(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()
    funded_market.do(endings.cancel_deal, deal_id, OWNER)
    funded_market.do(endings.cancel_deal, deal_id, ADVERTISER)
    funded_market.settle()
    event = EscrowSettled(deal_id=deal_id, outcome="REFUNDED")

    with nothing_changes():
        funded_market.do(
            lambda *, deal_id, actor, at: consumers.settle_deal(event, at=at), deal_id, SYSTEM
        )


def test_an_unclaimed_payout_that_operators_give_back_ends_the_deal_refunded(
    live_market: LiveMarket,
) -> None:
    deal_id = live_market.published()
    live_market.keep(deal_id)
    live_market.bank.settle()  # Oleg has no payout address
    payout = Settlement.objects.get(reference=deal_id)

    ask(
        "settlement.cancel_into_refund",
        {
            "settlement_id": str(payout.pk),
            "nano": payout.amount_nano,
            "waiting_for": payout.waiting_for,
        },
    )
    assert live_market.status(deal_id) == "DELIVERY_VERIFIED"
    live_market.settle()

    assert live_market.status(deal_id) == "REFUNDED"
    assert live_market.events(deal_id)[-1] == "DEAL_REFUNDED"
    assert PRICE_NANO - 20_000_000 < live_market.annas_nano() < PRICE_NANO


def test_a_message_of_a_settlement_that_is_not_there_is_refused(
    funded_market: FundedMarket,
) -> None:
    deal_id = funded_market.submitted()
    funded_market.dispute(deal_id)

    with nothing_changes(), pytest.raises(endings.NotSettled):
        funded_market.do(endings.settle_deal, deal_id, SYSTEM)


def test_a_draft_is_still_cancelled_alone(market: Market) -> None:
    deal_id = market.draft()

    market.do(endings.cancel_deal, deal_id, ADVERTISER)

    assert market.status(deal_id) == "CANCELLED"
