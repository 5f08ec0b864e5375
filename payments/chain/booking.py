"""From the chain into the books: one chain transaction of one own wallet, booked whole.

Balance on chain moves by exactly what is booked here: received - sent - fee. The fee is all fees
of the chain transaction and its out messages' forward fees; storage is part of them.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Sum

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.messaging.outbox import publish
from advertmarket.metrics import count
from payments.books import ledger
from payments.books.chart import (
    EXTERNAL_TON,
    IN_TRANSIT,
    NETWORK_FEES,
    PLATFORM_TREASURY,
    Account,
    PerDeal,
    PerWallet,
)
from payments.books.ledger import Line
from payments.events import DepositSeen
from payments.metrics import DEPOSITS
from payments.models import Deposit, Escrow, Journal, Settlement, TonTransaction, Wallet
from payments.sending import settlements
from payments.sending.transfers import REFUNDS, source_of
from payments.thresholds import confirmations_needed
from payments.ton.schema import ChainTransaction, Message
from payments.wallets import freeze

ACTOR = Actor.system("chain-reader")

_SENT = {
    Settlement.Kind.PAYOUT: Journal.Kind.OWNER_WITHDRAWAL,
    Settlement.Kind.COMMISSION_SWEEP: Journal.Kind.COMMISSION_SWEEP,
    Settlement.Kind.GAS_TOPUP: Journal.Kind.GAS_TOPUP,
    Settlement.Kind.TREASURY_WITHDRAWAL: Journal.Kind.TREASURY_WITHDRAWAL,
}
SENT_AS = _SENT | dict.fromkeys(REFUNDS, Journal.Kind.REFUND_SENT)
"""The journal of what was sent, by the settlement's kind."""


class MissingLink(Exception):
    """The wallet has chain transactions that we have not booked before this one: backfill it."""


@requires_transaction
def book(*, wallet: Wallet, tx: ChainTransaction, at: dt.datetime) -> None:
    """Book the next chain transaction of a locked wallet: its row, journals, deposit or landing.

    One that is booked already is passed over. A chain transaction whose predecessor is older than
    the last one booked is no gap: an account that a block leaves without a state (a bounced
    transfer, storage that ate the last nano) begins anew at 0.

    Raises:
        MissingLink: `tx` follows one that is not booked yet; nothing was written.
    """
    if tx.lt <= wallet.last_lt:
        return
    if tx.prev_trans_lt > wallet.last_lt:
        raise MissingLink(wallet.address)
    is_ours = tx.in_msg is not None and tx.in_msg.is_external
    row = _book_out(wallet, tx, at) if is_ours else _book_in(wallet, tx, at)
    _post_fee(wallet, tx, row, at)
    wallet.balance_nano += row.received_nano - row.sent_nano - row.fee_nano
    wallet.last_lt, wallet.last_hash = tx.lt, tx.hash
    if row.chain_balance_nano not in (None, wallet.balance_nano):
        freeze(wallet=wallet, reason="its balance on chain differs from the books", at=at)
    wallet.save()


def _book_in(wallet: Wallet, tx: ChainTransaction, at: dt.datetime) -> TonTransaction:
    message = tx.in_msg
    stayed = message is not None and not tx.bounced_back
    received = message.value if message is not None and stayed else 0
    row = TonTransaction(
        wallet=wallet,
        direction=TonTransaction.Direction.IN,
        state=TonTransaction.State.CONFIRMED,
        source=message.source if message else "",
        received_nano=received,
    )
    _put_chain_facts(row, tx)
    row.save()
    if received:
        assert message is not None
        _post_received(wallet, message, row, at)
    return row


def _post_received(wallet: Wallet, message: Message, row: TonTransaction, at: dt.datetime) -> None:
    escrow = Escrow.objects.filter(wallet=wallet).first()
    account: Account
    is_deposit = False
    if message.bounced:
        account = PerWallet.BOUNCED.of(wallet.subwallet)
    elif Wallet.objects.filter(address=message.source).exists():
        account = IN_TRANSIT
    elif escrow is not None and not message.is_jetton_notice:
        is_deposit = True
        account = PerDeal.DEPOSIT_PENDING.of(escrow.reference)
    else:
        account = PerWallet.UNSOLICITED.of(wallet.subwallet)
    ledger.post(
        kind=Journal.Kind.RECEIVED,
        key=f"in:{wallet.address}:{row.lt}",
        lines=[Line(EXTERNAL_TON, account, row.received_nano, wallet.subwallet)],
        actor=ACTOR,
        at=at,
    )
    if message.bounced:
        _make_whole(wallet, message, row, at)
    elif is_deposit and escrow is not None:
        _note_deposit(escrow, row, at)


def _note_deposit(escrow: Escrow, row: TonTransaction, at: dt.datetime) -> None:
    earlier = Deposit.objects.filter(escrow=escrow).aggregate(nano=Sum("amount_nano"))["nano"]
    needed = confirmations_needed((earlier or 0) + row.received_nano)
    assert row.mc_seqno is not None
    Deposit.objects.create(
        chain_transaction=row,
        escrow=escrow,
        amount_nano=row.received_nano,
        confirmed_at_seqno=row.mc_seqno + needed - 1,
        seen_at=at,
    )
    count(DEPOSITS, "seen")
    publish(
        DepositSeen(deal_id=escrow.reference, deposit_id=row.pk, amount_nano=row.received_nano),
        key=f"deposit-seen:{row.pk}",
        at=at,
    )


def _book_out(wallet: Wallet, tx: ChainTransaction, at: dt.datetime) -> TonTransaction:
    """Book what our key sent: matched by the normalized hash, which re-wrapping cannot change.

    Of a transfer that operators gave up, since an indexer had not shown that it landed, the books
    hold nothing any more: it is as foreign as what others signed, and stops no other wallet.
    """
    assert tx.in_msg is not None
    attempt = (
        TonTransaction.objects.filter(wallet=wallet, hash_norm=tx.in_msg.hash_norm, lt=None)
        .select_related("settlement")
        .first()
    )
    if attempt is None or attempt.settlement is None:
        return _book_foreign(wallet, tx, "a message that we did not sign landed", at)
    if attempt.settlement.state == Settlement.State.CANCELLED:
        return _book_foreign(wallet, tx, "a message of a cancelled transfer landed", at)
    _expire_rivals(wallet, attempt, at)
    sent = _expected_out(attempt, tx)
    if tx.description.aborted:
        freeze(wallet=wallet, reason=f"a message of ours was aborted ({tx.hash})", at=at)
    else:
        wallet.expected_seqno += 1
    attempt.sent_nano = sent.value if sent else 0
    attempt.out_msg_hash = sent.hash if sent else ""
    attempt.state = TonTransaction.State.LANDED if sent else TonTransaction.State.FAILED
    _put_chain_facts(attempt, tx)
    attempt.save()
    settlement = _lock_settlement(attempt)
    if sent:
        post_sent(wallet=wallet, settlement=settlement, attempt=attempt, at=at)
        settlements.landed(settlement=settlement, at=at)
    else:
        settlements.try_anew(settlement=settlement, why="it landed and sent nothing", at=at)
    return attempt


@requires_transaction
def post_sent(
    *, wallet: Wallet, settlement: Settlement, attempt: TonTransaction, at: dt.datetime
) -> None:
    """Post what a landed attempt took out of the wallet, and what it withheld for the fee."""
    source = source_of(settlement)
    lines = [Line(source, EXTERNAL_TON, attempt.sent_nano, wallet.subwallet)]
    if attempt.withheld_nano:
        lines.append(Line(source, NETWORK_FEES, attempt.withheld_nano))
    ledger.post(
        kind=SENT_AS[Settlement.Kind(settlement.kind)],
        key=f"out:{wallet.address}:{attempt.lt}",
        lines=lines,
        actor=ACTOR,
        at=at,
    )
    if settlement.kind == Settlement.Kind.COMMISSION_SWEEP:
        commission = PerDeal.COMMISSION.of(settlement.reference)
        ledger.post(
            kind=Journal.Kind.COMMISSION_SWEEP,
            key=f"sweep:{settlement.pk}",
            lines=[Line(commission, PLATFORM_TREASURY, settlement.amount_nano)],
            actor=ACTOR,
            at=at,
        )


def _lock_settlement(attempt: TonTransaction) -> Settlement:
    assert attempt.settlement_id is not None
    return Settlement.objects.select_for_update(no_key=True).get(pk=attempt.settlement_id)


def _expire_rivals(wallet: Wallet, attempt: TonTransaction, at: dt.datetime) -> None:
    """One message per seqno can land: the other live attempt of this wallet never will."""
    if attempt.state == TonTransaction.State.EXPIRED:
        freeze(wallet=wallet, reason="an attempt landed after it had expired", at=at)
    rivals = TonTransaction.objects.filter(
        wallet=wallet, direction=TonTransaction.Direction.OUT, state__in=TonTransaction.LIVE
    ).exclude(pk=attempt.pk)
    for rival in rivals:
        rival.state = TonTransaction.State.EXPIRED
        rival.save(update_fields=["state"])
        if rival.settlement_id != attempt.settlement_id:
            why = "another message of its wallet landed"
            settlements.try_anew(settlement=_lock_settlement(rival), why=why, at=at)


def _expected_out(attempt: TonTransaction, tx: ChainTransaction) -> Message | None:
    return next(
        (
            message
            for message in tx.out_msgs
            if message.destination == attempt.destination and message.value == attempt.amount_nano
        ),
        None,
    )


def _book_foreign(
    wallet: Wallet, tx: ChainTransaction, what: str, at: dt.datetime
) -> TonTransaction:
    """Record a message that the books know nothing of. What it sent stays unbooked, visibly.

    What is kept of it suffices to adopt it, should it be ours from before a restore.
    """
    assert tx.in_msg is not None
    row = TonTransaction(
        wallet=wallet,
        direction=TonTransaction.Direction.OUT,
        state=TonTransaction.State.FOREIGN,
        body_hash=tx.in_msg.body_hash,
        sent_nano=sum(message.value for message in tx.out_msgs),
    )
    if len(tx.out_msgs) == 1:
        [message] = tx.out_msgs
        row.destination, row.out_msg_hash = message.destination, message.hash
        row.amount_nano = message.value or None
    elif not tx.out_msgs and not tx.description.aborted:
        row.amount_nano = 0
    _put_chain_facts(row, tx)
    row.save()
    freeze(wallet=wallet, reason=f"{what} ({tx.hash})", at=at)
    return row


def _make_whole(wallet: Wallet, message: Message, row: TonTransaction, at: dt.datetime) -> None:
    """Our transfer came back: owe it again in full; what the way cost is the platform's."""
    attempt = _answered_by(wallet, message)
    if attempt is None:
        freeze(wallet=wallet, reason=f"a bounce that answers no transfer ({row.tx_hash})", at=at)
        return
    settlement = _lock_settlement(attempt) if attempt.settlement_id else None
    owe_again(wallet=wallet, settlement=settlement, attempt=attempt, returned=row, at=at)


def _answered_by(wallet: Wallet, message: Message) -> TonTransaction | None:
    """The transfer that came back: the last one there, even if a node said that it had arrived."""
    attempt = (
        TonTransaction.objects.filter(
            wallet=wallet,
            direction=TonTransaction.Direction.OUT,
            state__in=TonTransaction.SENT,
            destination=message.source,
            sent_nano__gte=message.value,
        )
        .select_related("settlement")
        .order_by("-lt")
        .first()
    )
    owed = attempt.settlement if attempt else None
    if owed is None or owed.state != Settlement.State.CONFIRMED or owed.deposit_id is not None:
        return attempt
    rivals = Settlement.objects.filter(reference=owed.reference, kind=owed.kind).open()
    return None if rivals.exists() else attempt


@requires_transaction
def owe_again(
    *,
    wallet: Wallet,
    settlement: Settlement | None,
    attempt: TonTransaction,
    returned: TonTransaction,
    at: dt.datetime,
) -> None:
    """Make whole what a landed attempt took, since `returned` brought it back, and hold it.

    Without a settlement it was a lost deal's, and is there again as what came unasked.
    """
    nobodys = PerWallet.UNSOLICITED.of(wallet.subwallet)
    owed = source_of(settlement) if settlement else nobodys
    lines = [Line(PerWallet.BOUNCED.of(wallet.subwallet), owed, returned.received_nano)]
    if cost := attempt.sent_nano + attempt.withheld_nano - returned.received_nano:
        lines.append(Line(NETWORK_FEES, owed, cost))
    ledger.post(
        kind=Journal.Kind.BOUNCE,
        key=f"bounce:{wallet.address}:{returned.lt}",
        lines=lines,
        actor=ACTOR,
        at=at,
    )
    attempt.state = TonTransaction.State.BOUNCED
    attempt.save(update_fields=["state"])
    if settlement is not None:
        settlements.hold_returned(settlement=settlement, at=at)


def _post_fee(wallet: Wallet, tx: ChainTransaction, row: TonTransaction, at: dt.datetime) -> None:
    row.fee_nano = tx.total_fees + sum(message.fwd_fee for message in tx.out_msgs)
    if tx.bounced_back and tx.in_msg is not None:
        row.fee_nano -= tx.in_msg.value - sum(message.value for message in tx.out_msgs)
    row.save(update_fields=["fee_nano"])
    if row.fee_nano:
        ledger.post(
            kind=Journal.Kind.NETWORK_FEE,
            key=f"fee:{wallet.address}:{tx.lt}",
            lines=[Line(NETWORK_FEES, EXTERNAL_TON, row.fee_nano, wallet.subwallet)],
            actor=ACTOR,
            at=at,
        )


def _put_chain_facts(row: TonTransaction, tx: ChainTransaction) -> None:
    row.lt, row.tx_hash, row.mc_seqno, row.chain_at = tx.lt, tx.hash, tx.mc_block_seqno, tx.now
    row.chain_balance_nano = tx.balance_after
