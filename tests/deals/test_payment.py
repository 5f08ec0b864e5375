"""From the accepted offer to the paid deal, on a local chain."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from advertmarket.errors import Code
from advertmarket.ton_address import InvalidTonAddress
from deals import consumers, endings, selectors, services, sweeps
from deals.permissions import DealNotFound, NotAllowed
from payments import selectors as payments
from payments.events import DepositConfirmed
from payments.models import Escrow, Wallet
from payments.services import EscrowNotEmpty, NoWalletReady

from .market import (
    ADVERTISER,
    OLEG,
    OUTSIDER,
    OWNER,
    PRICE_NANO,
    REFUND_ADDRESS,
    SYSTEM,
    FundedMarket,
    LiveMarket,
    later,
    nothing_changes,
)

DAY_AND_GRACE_S = 86_400 + 301


def give_refund_address(market: FundedMarket, deal_id: object) -> None:
    market.do(
        services.set_refund_address,
        deal_id,  # type: ignore[arg-type]  # a deal's id
        ADVERTISER,
        address=REFUND_ADDRESS,
        comment="memo",
        typed_by_hand=True,
    )


def test_an_accepted_deal_gets_an_address_of_its_own(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()
    with nothing_changes():
        sweeps.request_payments()

    deal, escrow = funded_market.deal(deal_id), Escrow.objects.get(reference=deal_id)
    assert (deal.status, escrow.state, escrow.price_nano) == (
        "AWAITING_PAYMENT",
        "AWAITING",
        PRICE_NANO,
    )
    assert deal.deadline_at == escrow.payment_deadline_at
    assert Wallet.objects.filter(reference=deal_id).count() == 1


def test_without_a_wallet_in_stock_the_deal_waits(funded_market: FundedMarket) -> None:
    deal_id = funded_market.accepted()
    Wallet.objects.filter(reference=None).update(last_lt=1)  # as if strangers had used them

    sweeps.request_payments()

    deal = funded_market.deal(deal_id)
    assert (deal.status, deal.waiting_for) == ("ACCEPTED", NoWalletReady.__name__)
    assert deal.due_at is not None
    assert deal.due_at > timezone.now()
    assert not Escrow.objects.exists()


def test_with_an_old_proof_nobody_is_asked_to_pay(funded_market: FundedMarket) -> None:
    deal_id = funded_market.accepted()

    with later(services.PROOF_MAX_AGE * 2), nothing_changes(), pytest.raises(services.ProofTooOld):
        funded_market.do(services.request_payment, deal_id, SYSTEM, proof=None)


def test_the_address_is_shown_after_a_refund_address(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()
    with pytest.raises(selectors.RefundAddressRequired) as refusal:
        selectors.deposit(deal_id, actor=ADVERTISER)
    assert refusal.value.code is Code.REFUND_ADDRESS_REQUIRED

    give_refund_address(funded_market, deal_id)

    shown = selectors.deposit(deal_id, actor=ADVERTISER)
    assert (shown.price_nano, shown.received_nano, shown.state) == (PRICE_NANO, 0, "AWAITING")
    assert shown.link.startswith(f"ton://transfer/{shown.address}?amount={PRICE_NANO}")


def test_only_the_advertiser_learns_where_to_pay(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()
    give_refund_address(funded_market, deal_id)

    with pytest.raises(NotAllowed):
        selectors.deposit(deal_id, actor=OWNER)
    with pytest.raises(DealNotFound):
        selectors.deposit(deal_id, actor=OUTSIDER)
    for actor, error in ((OWNER, NotAllowed), (OUTSIDER, DealNotFound)):
        with nothing_changes(), pytest.raises(error):
            funded_market.do(
                services.set_refund_address,
                deal_id,
                actor,
                address=REFUND_ADDRESS,
                comment="",
                typed_by_hand=True,
            )


def test_an_address_with_a_typo_is_refused(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()

    with nothing_changes(), pytest.raises(InvalidTonAddress):
        funded_market.do(
            services.set_refund_address,
            deal_id,
            ADVERTISER,
            address="UQ-typo",
            comment="",
            typed_by_hand=True,
        )
    assert not payments.refund_destination_given(deal_id)


def test_there_is_nothing_to_pay_before_the_address(funded_market: FundedMarket) -> None:
    deal_id = funded_market.accepted()

    with pytest.raises(selectors.NoDepositYet):
        selectors.deposit(deal_id, actor=ADVERTISER)
    with nothing_changes(), pytest.raises(selectors.NoDepositYet):
        give_refund_address(funded_market, deal_id)


def test_a_funded_escrow_funds_the_deal_once(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()
    funded_market.pay(deal_id)

    sweeps.fund_deals()
    with nothing_changes():
        sweeps.fund_deals()
        funded_market.do(services.fund_deal, deal_id, SYSTEM)

    assert funded_market.status(deal_id) == "FUNDED"
    assert funded_market.events(deal_id)[-1] == "DEAL_FUNDED"


def test_a_late_message_about_the_deposit_changes_nothing(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()
    event = DepositConfirmed(deal_id=deal_id, amount_nano=PRICE_NANO)

    with nothing_changes():
        funded_market.do(
            lambda *, deal_id, actor, at: consumers.fund_deal(event, at=at), deal_id, SYSTEM
        )


def test_a_message_about_money_that_is_not_there_is_refused(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()

    with nothing_changes(), pytest.raises(services.NotFunded):
        funded_market.do(services.fund_deal, deal_id, SYSTEM)


def test_an_unpaid_deal_expires_and_closes_its_escrow(moving_market: FundedMarket) -> None:
    deal_id = moving_market.awaiting_payment()

    with moving_market.bank.pass_time(DAY_AND_GRACE_S):
        sweeps.end_overdue_deals()  # the chain is not read that far
        assert moving_market.status(deal_id) == "AWAITING_PAYMENT"
        moving_market.bank.read()
        sweeps.end_overdue_deals()

    assert moving_market.status(deal_id) == "EXPIRED"
    assert Escrow.objects.get(reference=deal_id).state == "EXPIRED"
    assert moving_market.events(deal_id)[-1] == "DEAL_EXPIRED"


def test_a_deal_with_a_deposit_does_not_expire(moving_market: FundedMarket) -> None:
    deal_id = moving_market.awaiting_payment()
    moving_market.bank.pay(deal_id, PRICE_NANO)  # seen, not confirmed

    with moving_market.bank.pass_time(DAY_AND_GRACE_S):
        moving_market.bank.read()
        with nothing_changes():
            sweeps.end_overdue_deals()
        moving_market.bank.apply_deposits()
        sweeps.fund_deals()

    assert moving_market.status(deal_id) == "FUNDED"


def test_the_advertiser_may_withdraw_until_money_arrives(funded_market: FundedMarket) -> None:
    first, second = funded_market.awaiting_payment(), funded_market.awaiting_payment()

    funded_market.do(endings.cancel_deal, first, ADVERTISER)
    with nothing_changes():
        funded_market.do(endings.cancel_deal, first, ADVERTISER)
    funded_market.bank.pay(second, PRICE_NANO)
    with nothing_changes(), pytest.raises(EscrowNotEmpty):
        funded_market.do(endings.cancel_deal, second, ADVERTISER)

    assert funded_market.status(first) == "CANCELLED"
    assert Escrow.objects.get(reference=first).state == "CLOSED"
    assert funded_market.status(second) == "AWAITING_PAYMENT"


def test_the_owner_may_not_withdraw_once_there_is_an_address(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()

    with nothing_changes(), pytest.raises(NotAllowed):
        funded_market.do(endings.cancel_deal, deal_id, OWNER)


def test_an_accepted_deal_without_an_address_expires(funded_market: FundedMarket) -> None:
    deal_id = funded_market.accepted()
    Wallet.objects.filter(reference=None).update(last_lt=1)  # as if strangers had used them
    sweeps.request_payments()

    with later(timedelta(hours=24, minutes=4)):
        sweeps.end_overdue_deals()
        assert funded_market.status(deal_id) == "ACCEPTED"
    with later(timedelta(hours=24, minutes=6)):
        sweeps.end_overdue_deals()
        with nothing_changes():
            sweeps.end_overdue_deals()
            sweeps.request_payments()

    assert funded_market.status(deal_id) == "EXPIRED"
    assert funded_market.events(deal_id)[-1] == "DEAL_EXPIRED"
    assert not Escrow.objects.exists()


def test_an_old_proof_is_renewed_before_anybody_can_pay(live_market: LiveMarket) -> None:
    deal_id = live_market.accepted()

    with later(services.PROOF_MAX_AGE * 2):
        sweeps.request_payments()

    assert live_market.status(deal_id) == "AWAITING_PAYMENT"


def test_where_ownership_is_gone_nobody_is_asked_to_pay(live_market: LiveMarket) -> None:
    deal_id = live_market.accepted()
    live_market.telegram.set_member(live_market.channel_id, OLEG, "member", by=OLEG)

    with later(services.PROOF_MAX_AGE * 2):
        sweeps.request_payments()
        with nothing_changes():
            sweeps.request_payments()

    deal = live_market.deal(deal_id)
    assert (deal.status, deal.waiting_for) == ("ACCEPTED", "UserNotAdmin")
    assert not Escrow.objects.exists()
