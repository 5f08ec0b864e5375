"""A deal that a restore lost: operators who know it book what it sent, and give back the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.audit.models import AuditEntry
from advertmarket.errors import DomainError
from ops import checks
from payments.books import ledger
from payments.books.chart import PLATFORM_TREASURY, PerWallet
from payments.books.ledger import InsufficientFunds
from payments.chain import adoption, reader
from payments.models import Journal, OperatorRequest, Settlement, TonTransaction, Wallet
from payments.operations.wallets import NoSuchMessage
from payments.sending.receipts import receipt_of
from payments.sending.transfers import MOST_QUOTED_NANO
from payments.ton.schema import Description
from payments.wallets import TREASURY
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.backups import (
    MISSING,
    Backups,
    adopt_chain,
    after_restore,
    assert_whole,
    foreign,
    resume,
    sweep,
    work_hard,
)
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.operations.desk import Desk

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
RETURN = Settlement.Kind.UNSOLICITED_REFUND
COMMISSION_NANO = PRICE_NANO - OWNER_SHARE_NANO


def lose(bank: Bank, backups: Backups, *, swept: bool = False) -> Desk:
    """A deal is opened, paid, released and paid out after the backup, which then comes back."""
    backups.take()
    bank.payout_due()
    bank.settle()
    if swept:
        sweep(bank)
    return restored(bank, backups)


def restored(bank: Bank, backups: Backups) -> Desk:
    """Go on with the backup, whose books have read the chain again."""
    backups.restore()
    after_restore()
    bank.read()
    return Desk(bank)


def about(row: TonTransaction, **other: Any) -> dict[str, Any]:
    """What operators say of a message that they saw on chain."""
    seen = {"tx_hash": row.tx_hash, "nano": row.sent_nano, "address": row.destination}
    return {"subwallet": row.wallet_id, **seen, **other}


def nobodys(subwallet: int) -> int:
    """What came to a wallet unasked, and is still there."""
    return ledger.balance(PerWallet.UNSOLICITED.of(subwallet))


@contextmanager
def refused(refusal: type[DomainError]) -> Iterator[None]:
    """Assert that nothing is booked, and nothing counted."""
    before = [list(model.objects.order_by("pk").values()) for model in (Journal, TonTransaction)]
    seqnos = list(Wallet.objects.order_by("pk").values_list("expected_seqno", "balance_nano"))
    with pytest.raises(refusal):
        yield
    after = [list(model.objects.order_by("pk").values()) for model in (Journal, TonTransaction)]
    assert after == before
    assert list(Wallet.objects.order_by("pk").values_list("expected_seqno", "balance_nano")) == (
        seqnos
    )


def test_what_a_lost_deal_paid_out_and_what_was_swept_are_booked(
    bank: Bank, backups: Backups
) -> None:
    desk = lose(bank, backups, swept=True)
    assert set(checks.run_all()) == MISSING
    payout, swept = foreign()

    request = desk.do("wallet.adopt_lost", **about(payout))
    assert nobodys(payout.wallet_id) == COMMISSION_NANO
    desk.do("wallet.adopt_lost", **about(swept))
    resume()
    work_hard(bank)

    assert request.needs_second
    assert nobodys(payout.wallet_id) == COMMISSION_NANO - swept.sent_nano
    assert ledger.balance(PLATFORM_TREASURY) == swept.sent_nano
    [first, second] = Journal.objects.filter(kind=Journal.Kind.LOST_DEAL).order_by("posted_at")
    wallet = Wallet.objects.get(pk=payout.wallet_id)
    assert first.key == f"out:{wallet.address}:{payout.lt}"
    assert second.actor == f"operator:{desk.boris}"
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert not Settlement.objects.exists()
    assert_whole(bank)


def test_what_is_left_of_a_lost_deal_can_be_claimed(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()
    desk.do("wallet.adopt_lost", **about(payout))

    desk.do(
        "treasury.claim",
        subwallet=payout.wallet_id,
        nano=COMMISSION_NANO,
        key="00000000-0000-0000-0000-000000000001",
    )

    assert nobodys(payout.wallet_id) == 0
    assert_whole(bank)


def test_a_refund_of_a_lost_deal_leaves_what_it_kept(bank: Bank, backups: Backups) -> None:
    backups.take()
    bank.refund_due()
    bank.settle()
    desk = restored(bank, backups)
    [refund] = foreign()

    desk.do("wallet.adopt_lost", **about(refund))

    assert bank.advertiser_received() == [refund.sent_nano]
    assert nobodys(refund.wallet_id) == PRICE_NANO - refund.sent_nano < MOST_QUOTED_NANO
    assert_whole(bank)


def test_gas_for_a_lost_deal_is_adopted_by_itself(bank: Bank, backups: Backups) -> None:
    bank.fund_treasury()
    backups.take()
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, PRICE_NANO)  # no commission, so nothing for the fee
    bank.settle(turns=12)
    assert bank.owner_received() == [PRICE_NANO]
    desk = restored(bank, backups)

    adopt_chain()
    [payout] = foreign()
    desk.do("wallet.adopt_lost", **about(payout))

    [gas] = TonTransaction.objects.filter(wallet=TREASURY, state=TonTransaction.State.ADOPTED)
    assert gas.settlement is not None
    assert (gas.settlement.kind, gas.settlement.reference) == ("GAS_TOPUP", UUID(int=0))
    assert nobodys(payout.wallet_id) == 0
    assert_whole(bank)


def test_the_booking_is_audited_and_does_not_tell_the_address(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()

    request = desk.do("wallet.adopt_lost", **about(payout))

    entry = AuditEntry.objects.get(object_id=str(request.pk), action="wallet.adopt_lost.done")
    assert entry.actor_id == str(desk.boris)
    assert payout.destination not in str(entry.after)


# --- what is refused ------------------------------------------------------------------------------


def test_one_operator_books_nothing(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()

    request = desk.ask("wallet.adopt_lost", **about(payout))

    assert request.state == OperatorRequest.State.PENDING
    assert [row.pk for row in foreign()] == [payout.pk]
    assert nobodys(payout.wallet_id) == PRICE_NANO
    assert set(checks.run_all()) == MISSING
    desk.approve(request)


@pytest.mark.parametrize(
    "other",
    [
        {"nano": OWNER_SHARE_NANO + 1},
        {"address": "0:" + "ab" * 32},
        {"tx_hash": "ab" * 32},
        {"subwallet": TREASURY},
    ],
)
def test_what_the_chain_does_not_show_is_not_booked(
    bank: Bank, backups: Backups, other: dict[str, Any]
) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()

    with refused(NoSuchMessage):
        desk.do("wallet.adopt_lost", **about(payout, **other))

    desk.do("wallet.adopt_lost", **about(payout))


def test_more_than_what_came_is_not_booked(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()
    desk.do(
        "treasury.claim",
        subwallet=payout.wallet_id,
        nano=COMMISSION_NANO + 1,
        key="00000000-0000-0000-0000-000000000001",
    )
    request = desk.ask("wallet.adopt_lost", **about(payout))

    with refused(InsufficientFunds):
        desk.approve(request)

    claimed = Journal.objects.get(key__startswith="claim:")
    desk.do("journal.reverse", tx_ref=str(claimed.pk))
    desk.approve(request)


def test_what_was_booked_is_not_booked_again(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()
    again = desk.ask("wallet.adopt_lost", **about(payout))
    desk.do("wallet.adopt_lost", **about(payout))

    with refused(NoSuchMessage):
        desk.approve(again)

    assert_whole(bank)


def test_what_landed_first_is_booked_first(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups, swept=True)
    payout, swept = foreign()
    request = desk.ask("wallet.adopt_lost", **about(swept))

    with refused(adoption.EarlierFirst):
        desk.approve(request)

    desk.do("wallet.adopt_lost", **about(payout))
    desk.approve(request)
    assert_whole(bank)


def test_what_a_deal_of_ours_sent_is_not_a_lost_ones(bank: Bank, backups: Backups) -> None:
    bank.payout_due()
    backups.take()
    bank.settle()
    desk = restored(bank, backups)
    [payout] = foreign()
    request = desk.ask("wallet.adopt_lost", **about(payout))

    with refused(adoption.NotLost):
        desk.approve(request)

    adopt_chain()
    assert_whole(bank)


def test_without_the_recipients_side_nothing_is_booked(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()

    with refused(adoption.ArrivalNotSeen), transaction.atomic():
        adoption.adopt_lost(
            chain_transaction_id=payout.pk, evidence=None, actor=ACTOR, at=timezone.now()
        )

    desk.do("wallet.adopt_lost", **about(payout))


def test_the_wallet_signs_again_only_once_all_is_booked(bank: Bank, backups: Backups) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()
    with refused(DomainError):
        desk.do("wallet.unfreeze", subwallet=payout.wallet_id)

    desk.do("wallet.adopt_lost", **about(payout))
    assert Wallet.objects.get(pk=payout.wallet_id).frozen_at is not None
    desk.do("wallet.unfreeze", subwallet=payout.wallet_id)

    assert Wallet.objects.get(pk=payout.wallet_id).frozen_at is None


# --- what came back, and what goes back -----------------------------------------------------------


def lose_a_refused_payout(bank: Bank, backups: Backups) -> Desk:
    """A lost deal's payout went to a contract that sent it back."""
    backups.take()
    bank.set_payout_address(address=deploy_refuser(bank))
    bank.release(bank.funded_escrow())
    bank.settle()
    return restored(bank, backups)


def send_back(desk: Desk, subwallet: int, nano: int, to: PersonsWallet) -> OperatorRequest:
    """Operators send what came unasked to whom it is."""
    wanted = {"subwallet": subwallet, "nano": nano, "address": to.raw_address}
    return desk.do("wallet.send_back", **wanted)


def the_return() -> Settlement:
    return Settlement.objects.get(kind=RETURN)


def test_an_advertiser_gets_back_what_came_for_a_lost_deal(bank: Bank, backups: Backups) -> None:
    backups.take()
    wallet = bank.wallet(bank.funded_escrow())
    desk = restored(bank, backups)
    resume()
    assert nobodys(wallet.subwallet) == PRICE_NANO

    send_back(desk, wallet.subwallet, PRICE_NANO, bank.advertiser)
    work_hard(bank)

    [withheld] = bank.withheld(UUID(int=wallet.subwallet), RETURN)
    assert bank.advertiser_received() == [PRICE_NANO - withheld]
    assert nobodys(wallet.subwallet) == 0
    assert_whole(bank)


def test_what_is_left_of_a_lost_deal_goes_back_once_its_payout_is_adopted(
    bank: Bank, backups: Backups
) -> None:
    desk = lose(bank, backups)
    [payout] = foreign()
    desk.do("wallet.adopt_lost", **about(payout))
    send_back(desk, payout.wallet_id, COMMISSION_NANO, bank.advertiser)
    resume()

    work_hard(bank)
    assert bank.advertiser_received() == []  # the wallet is frozen
    desk.do("wallet.unfreeze", subwallet=payout.wallet_id)
    work_hard(bank)

    [withheld] = bank.withheld(UUID(int=payout.wallet_id), RETURN)
    assert bank.advertiser_received() == [COMMISSION_NANO - withheld]
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert_whole(bank)


def test_what_a_lost_deal_sent_and_got_back_is_nobodys_again(bank: Bank, backups: Backups) -> None:
    desk = lose_a_refused_payout(bank, backups)
    [payout] = foreign()
    assert ledger.balance(PerWallet.BOUNCED.of(payout.wallet_id)) > OWNER_SHARE_NANO - TON // 10

    desk.do("wallet.adopt_lost", **about(payout))

    assert ledger.balance(PerWallet.BOUNCED.of(payout.wallet_id)) == 0
    assert nobodys(payout.wallet_id) == PRICE_NANO
    payout.refresh_from_db()
    assert (payout.state, payout.settlement) == (TonTransaction.State.BOUNCED, None)
    assert_whole(bank)

    send_back(desk, payout.wallet_id, PRICE_NANO, bank.advertiser)
    resume()
    work_hard(bank)

    [withheld] = bank.withheld(UUID(int=payout.wallet_id), RETURN)
    assert bank.advertiser_received() == [PRICE_NANO - withheld]
    assert withheld < TON // 10
    assert_whole(bank)


def lose_and_read_up_to_the_refused_payout(bank: Bank, backups: Backups) -> Desk:
    """The chain has its bounce as well, which these books do not know yet."""
    backups.take()
    bank.set_payout_address(address=deploy_refuser(bank))
    bank.release(bank.funded_escrow())
    bank.settle()
    backups.restore()
    after_restore()
    while not foreign():
        reader.read_new_blocks(bank.client, at_most=1)
    return Desk(bank)


def test_what_bounced_is_not_booked_before_it_is_back(bank: Bank, backups: Backups) -> None:
    desk = lose_and_read_up_to_the_refused_payout(bank, backups)
    [payout] = foreign()
    request = desk.ask("wallet.adopt_lost", **about(payout))

    with refused(adoption.ArrivalNotSeen):
        desk.approve(request)

    bank.read()
    desk.approve(request)
    assert nobodys(payout.wallet_id) == PRICE_NANO
    assert_whole(bank)


def test_what_bounces_although_a_node_said_that_it_arrived_is_nobodys_again(
    bank: Bank, backups: Backups
) -> None:
    lose_and_read_up_to_the_refused_payout(bank, backups)
    [payout] = foreign()
    arrived = receipt_of(payout, bank.client)
    assert arrived is not None
    lie = arrived.model_copy(update={"description": Description(aborted=True)})
    with transaction.atomic():
        adoption.adopt_lost(
            chain_transaction_id=payout.pk, evidence=lie, actor=ACTOR, at=timezone.now()
        )
    assert nobodys(payout.wallet_id) == COMMISSION_NANO

    bank.read()

    assert nobodys(payout.wallet_id) == PRICE_NANO
    payout.refresh_from_db()
    assert payout.state == TonTransaction.State.BOUNCED
    assert_whole(bank)


def test_what_is_sent_back_before_the_payout_is_adopted_is_put_right(
    bank: Bank, backups: Backups
) -> None:
    """The books take it for money that is there; the wallet, frozen, sends nothing of it."""
    desk = lose(bank, backups)
    [payout] = foreign()
    send_back(desk, payout.wallet_id, PRICE_NANO, bank.advertiser)
    resume()
    work_hard(bank)
    assert bank.advertiser_received() == []
    request = desk.ask("wallet.adopt_lost", **about(payout))
    with refused(InsufficientFunds):
        desk.approve(request)

    desk.on("settlement.write_off", the_return())
    desk.approve(request)

    assert nobodys(payout.wallet_id) == COMMISSION_NANO
    assert_whole(bank)


def test_a_return_that_a_restore_lost_is_asked_for_again_and_adopted(
    bank: Bank, backups: Backups
) -> None:
    wallet = bank.wallet(bank.open_escrow())
    bank.chain.faucet(wallet.address, 5 * TON, jetton_notice=True)
    bank.read()
    backups.take()
    send_back(Desk(bank), wallet.subwallet, 5 * TON, bank.advertiser)
    bank.settle()
    [received] = bank.advertiser_received()
    desk = restored(bank, backups)

    send_back(desk, wallet.subwallet, 5 * TON, bank.advertiser)
    adopt_chain()
    resume()
    work_hard(bank)

    assert bank.advertiser_received() == [received]
    assert the_return().state == Settlement.State.CONFIRMED
    assert nobodys(wallet.subwallet) == 0
    assert_whole(bank)


def test_what_is_owed_anew_by_now_is_adopted_as_that_and_not_paid_again(
    bank: Bank, backups: Backups
) -> None:
    """Enough had come for both: booked as a lost deal's, the return would be paid as well."""
    backups.take()
    reference = bank.refund_due()
    wallet = bank.wallet(reference)
    bank.settle()
    bank.pay(reference)
    [received] = bank.advertiser_received()
    desk = restored(bank, backups)
    [refund] = foreign()
    send_back(desk, wallet.subwallet, PRICE_NANO, bank.advertiser)

    with refused(adoption.OwedHere):
        desk.do("wallet.adopt_lost", **about(refund))

    adopt_chain()
    desk.do("wallet.unfreeze", subwallet=wallet.subwallet)
    resume()
    work_hard(bank)
    assert bank.advertiser_received() == [received]
    assert the_return().state == Settlement.State.CONFIRMED
    assert nobodys(wallet.subwallet) == PRICE_NANO
    assert_whole(bank)
