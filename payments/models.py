"""The tables of the money. Only this app writes them; the books only through `ledger.post`."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q


class Journal(models.Model):
    """One business operation of the books: postings that stand together, written once."""

    class Kind(models.TextChoices):
        RECEIVED = "RECEIVED"
        ALLOCATED = "ALLOCATED"
        NETWORK_FEE = "NETWORK_FEE"
        PARTIAL_PROMOTE = "PARTIAL_PROMOTE"
        ESCROW_RELEASE = "ESCROW_RELEASE"
        ESCROW_REFUND = "ESCROW_REFUND"
        PARTIAL_REFUND = "PARTIAL_REFUND"
        UNCLAIMED_REFUND = "UNCLAIMED_REFUND"
        OWNER_WITHDRAWAL = "OWNER_WITHDRAWAL"
        REFUND_SENT = "REFUND_SENT"
        COMMISSION_SWEEP = "COMMISSION_SWEEP"
        GAS_TOPUP = "GAS_TOPUP"
        TREASURY_WITHDRAWAL = "TREASURY_WITHDRAWAL"
        BOUNCE = "BOUNCE"
        DUST_WRITEOFF = "DUST_WRITEOFF"
        FEE_ADJUSTMENT = "FEE_ADJUSTMENT"
        REVERSAL = "REVERSAL"

    tx_ref = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=32, choices=Kind)
    key = models.CharField(max_length=200, unique=True)
    digest = models.CharField(max_length=64)
    actor = models.CharField(max_length=100)
    correlation_id = models.UUIDField()
    posted_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_journals"

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Posting(models.Model):
    """`amount_nano` debited from one account and credited to another: it cannot be unbalanced."""

    id = models.BigAutoField(primary_key=True)
    journal = models.ForeignKey(Journal, models.PROTECT, related_name="postings")
    debit = models.CharField(max_length=80)
    credit = models.CharField(max_length=80)
    amount_nano = models.BigIntegerField()
    wallet = models.ForeignKey("Wallet", models.PROTECT, null=True, related_name="postings")

    class Meta:
        db_table = "ledger_postings"
        constraints = [
            models.CheckConstraint(name="posting_amount_positive", condition=Q(amount_nano__gt=0)),
            models.CheckConstraint(name="posting_accounts_differ", condition=~Q(debit=F("credit"))),
            models.CheckConstraint(
                name="posting_on_chain_names_wallet",
                condition=Q(debit="EXTERNAL_TON", wallet__isnull=False)
                | Q(credit="EXTERNAL_TON", wallet__isnull=False)
                | (~Q(debit="EXTERNAL_TON") & ~Q(credit="EXTERNAL_TON") & Q(wallet__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(fields=["debit"], name="posting_debit"),
            models.Index(fields=["credit"], name="posting_credit"),
        ]


class AccountBalance(models.Model):
    """The running balance (credits less debits) of an account that may not go below zero."""

    code = models.CharField(max_length=80, primary_key=True)
    balance_nano = models.BigIntegerField(default=0)

    class Meta:
        db_table = "account_balances"
        constraints = [
            models.CheckConstraint(name="account_not_overdrawn", condition=Q(balance_nano__gte=0)),
        ]


class Wallet(models.Model):
    """An address of ours on chain: subwallet 0 is the treasury, every other serves one deal.

    A wallet is followed for ever. `balance_nano` is its balance on chain after the last chain
    transaction that we booked, `last_lt` and `last_hash` name that one. One that may have been
    given out to a deal that a restore lost is reserved: no deal ever gets it.
    """

    subwallet = models.BigIntegerField(primary_key=True)
    version = models.CharField(max_length=8)
    public_key = models.CharField(max_length=64)
    address = models.CharField(max_length=67, unique=True)
    reference = models.UUIDField(null=True, unique=True)
    expected_seqno = models.BigIntegerField(default=0)
    balance_nano = models.BigIntegerField(default=0)
    last_lt = models.BigIntegerField(default=0)
    last_hash = models.CharField(max_length=64, blank=True)
    reserved_at = models.DateTimeField(null=True)
    frozen_at = models.DateTimeField(null=True)
    frozen_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "wallets"
        constraints = [
            models.CheckConstraint(
                name="wallet_numbers_not_negative",
                condition=Q(
                    subwallet__gte=0, expected_seqno__gte=0, balance_nano__gte=0, last_lt__gte=0
                ),
            ),
            models.CheckConstraint(
                name="wallet_frozen_with_reason",
                condition=Q(frozen_at=None, frozen_reason="")
                | (Q(frozen_at__isnull=False) & ~Q(frozen_reason="")),
            ),
            models.CheckConstraint(
                name="wallet_reserved_has_no_deal",
                condition=Q(reserved_at=None) | Q(reference=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subwallet} · {self.address}"


class Escrow(models.Model):
    """All that payments knows of a deal, which it knows only as `reference`.

    `partial_since_at`: when money below the price began to lie in PARTIAL_DEPOSIT.
    `refund_effective_at`: from when a refund may go to the address that the advertiser gave.
    """

    class State(models.TextChoices):
        AWAITING = "AWAITING"
        FUNDED = "FUNDED"
        RELEASED = "RELEASED"  # decided for the owner
        REFUNDED = "REFUNDED"  # decided for the advertiser
        SPLIT = "SPLIT"  # decided for both
        CLOSED = "CLOSED"  # ended unpaid, for good
        EXPIRED = "EXPIRED"  # ended unpaid; a deposit that was in time still funds it

    DECIDED = (State.RELEASED, State.REFUNDED, State.SPLIT)

    reference = models.UUIDField(primary_key=True)
    wallet = models.OneToOneField(Wallet, models.PROTECT, related_name="escrow")
    state = models.CharField(max_length=16, choices=State, default=State.AWAITING)
    price_nano = models.BigIntegerField()
    funded_nano = models.BigIntegerField(null=True)
    payment_deadline_at = models.DateTimeField()
    partial_since_at = models.DateTimeField(null=True)
    refund_user_id = models.BigIntegerField(null=True)
    refund_effective_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    funded_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "escrows"
        constraints = [
            models.CheckConstraint(name="escrow_price_positive", condition=Q(price_nano__gt=0)),
            models.CheckConstraint(
                name="escrow_funded_with_amount",
                condition=Q(
                    state__in=["AWAITING", "CLOSED", "EXPIRED"], funded_nano=None, funded_at=None
                )
                | Q(
                    state__in=["FUNDED", "RELEASED", "REFUNDED", "SPLIT"],
                    funded_nano__gt=0,
                    funded_at__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="escrow_ended_with_time",
                condition=Q(state__in=["AWAITING", "FUNDED"], ended_at=None)
                | (~Q(state__in=["AWAITING", "FUNDED"]) & Q(ended_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="escrow_refund_whole",
                condition=Q(refund_user_id=None, refund_effective_at=None)
                | Q(refund_user_id__isnull=False, refund_effective_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="escrow_of_advertiser",
                fields=["refund_user_id"],
                condition=Q(refund_user_id__isnull=False),
            ),
            models.Index(
                name="escrow_partial",
                fields=["partial_since_at"],
                condition=Q(partial_since_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} · {self.state}"


class ChainCursor(models.Model):
    """How far the chain is booked: the last masterchain block read, and that block's time.

    `head_seqno` is the last block that there was when we looked: confirmations count up to it.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    seqno = models.BigIntegerField()
    head_seqno = models.BigIntegerField()
    block_at = models.DateTimeField()
    read_at = models.DateTimeField()

    class Meta:
        db_table = "chain_cursor"
        constraints = [
            models.CheckConstraint(name="chain_cursor_single", condition=Q(id=1)),
            models.CheckConstraint(
                name="chain_cursor_not_past_head", condition=Q(head_seqno__gte=F("seqno"))
            ),
        ]


class Settlement(models.Model):
    """One owed transfer out of one wallet, from the decision until the recipient has it.

    `amount_nano` is what the books owe; a refund's fee is withheld from it. A payee has the
    address that they gave; `destination` is an own wallet, the cold address, or what operators
    set in its place. `unclaimed_since_at`: since when a payout waits for an address, and
    `reminded_day` the last day on which its payee was told.
    """

    class Kind(models.TextChoices):
        PAYOUT = "PAYOUT"
        REFUND = "REFUND"
        PARTIAL_DEPOSIT_REFUND = "PARTIAL_DEPOSIT_REFUND"
        OVERPAYMENT_REFUND = "OVERPAYMENT_REFUND"
        LATE_DEPOSIT_REFUND = "LATE_DEPOSIT_REFUND"
        COMMISSION_SWEEP = "COMMISSION_SWEEP"
        GAS_TOPUP = "GAS_TOPUP"
        TREASURY_WITHDRAWAL = "TREASURY_WITHDRAWAL"

    class State(models.TextChoices):
        QUEUED = "QUEUED"
        SIGNED = "SIGNED"
        SUBMITTED = "SUBMITTED"
        CONFIRMED = "CONFIRMED"
        CANCELLED = "CANCELLED"  # never sent: decided otherwise, or written off
        NEEDS_OPERATOR = "NEEDS_OPERATOR"
        HELD = "HELD"

    WORKING = (State.QUEUED, State.SIGNED, State.SUBMITTED)
    OVER = (State.CONFIRMED, State.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=32, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    reference = models.UUIDField()
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="settlements")
    deposit = models.ForeignKey("Deposit", models.PROTECT, null=True, related_name="settlements")
    payee_id = models.BigIntegerField(null=True)
    destination = models.CharField(max_length=67, blank=True)
    comment = models.CharField(max_length=120, blank=True)
    amount_nano = models.BigIntegerField()
    waiting_for = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_allowed = models.PositiveSmallIntegerField(default=5)
    unclaimed_since_at = models.DateTimeField(null=True)
    reminded_day = models.PositiveSmallIntegerField(null=True)
    due_at = models.DateTimeField()
    lease_owner = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    state_since_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "settlements"
        constraints = [
            models.CheckConstraint(
                name="settlement_amount_positive", condition=Q(amount_nano__gt=0)
            ),
            models.CheckConstraint(
                name="settlement_confirmed_with_time",
                condition=Q(state="CONFIRMED", confirmed_at__isnull=False)
                | (~Q(state="CONFIRMED") & Q(confirmed_at=None)),
            ),
            models.CheckConstraint(
                name="settlement_lease_whole",
                condition=Q(lease_owner=None, leased_until=None)
                | Q(lease_owner__isnull=False, leased_until__isnull=False),
            ),
            models.CheckConstraint(
                name="settlement_goes_somewhere",
                condition=Q(
                    kind__in=["COMMISSION_SWEEP", "GAS_TOPUP", "TREASURY_WITHDRAWAL"], payee_id=None
                )
                & ~Q(destination="")
                | ~Q(kind__in=["COMMISSION_SWEEP", "GAS_TOPUP", "TREASURY_WITHDRAWAL"]),
            ),
            models.CheckConstraint(
                name="settlement_of_deposit",
                condition=Q(
                    kind__in=["OVERPAYMENT_REFUND", "LATE_DEPOSIT_REFUND"], deposit__isnull=False
                )
                | (~Q(kind__in=["OVERPAYMENT_REFUND", "LATE_DEPOSIT_REFUND"]) & Q(deposit=None)),
            ),
            models.CheckConstraint(
                name="settlement_unclaimed_and_told",
                condition=Q(unclaimed_since_at=None, reminded_day=None)
                | Q(kind="PAYOUT", unclaimed_since_at__isnull=False, reminded_day__isnull=False),
            ),
            models.UniqueConstraint(
                name="settlement_one_open_per_kind",
                fields=["reference", "kind"],
                condition=Q(deposit=None) & ~Q(state__in=["CONFIRMED", "CANCELLED"]),
            ),
            models.UniqueConstraint(
                name="settlement_once_per_deposit",
                fields=["deposit", "kind"],
                condition=Q(deposit__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="settlement_due",
                fields=["due_at"],
                condition=Q(state__in=["QUEUED", "SIGNED", "SUBMITTED"]),
            ),
            models.Index(name="settlement_reference", fields=["reference"]),
            models.Index(
                name="settlement_of_payee",
                fields=["payee_id", "-created_at", "-id"],
                condition=Q(payee_id__isnull=False),
            ),
            models.Index(
                name="settlement_unclaimed",
                fields=["unclaimed_since_at"],
                condition=Q(unclaimed_since_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference} · {self.state}"


class TonTransaction(models.Model):
    """A chain transaction of an own wallet: IN as the chain showed it; OUT from our signature on.

    An OUT row is an attempt at a settlement: `amount_nano` is sent, and `withheld_nano` of what is
    owed is kept back for the network's fee. Until it lands its chain columns are empty; an OUT
    that landed without a settlement was signed by somebody else, or its row was lost, and its
    wallet is frozen. Of that one `amount_nano` is what its one message carried, 0 if it sent none.
    """

    class Direction(models.TextChoices):
        IN = "IN"
        OUT = "OUT"

    class State(models.TextChoices):
        SIGNED = "SIGNED"  # stored, perhaps broadcast
        SUBMITTED = "SUBMITTED"  # broadcast, whatever the answer
        LANDED = "LANDED"  # on chain with the expected message out
        CONFIRMED = "CONFIRMED"  # the recipient has it; every IN is born so
        FAILED = "FAILED"  # landed, and sent nothing
        EXPIRED = "EXPIRED"  # can never land
        BOUNCED = "BOUNCED"  # sent, and came back
        FOREIGN = "FOREIGN"  # landed, and we know nothing of it
        ADOPTED = "ADOPTED"  # was FOREIGN: signed by us before a restore, as operators found

    LIVE = (State.SIGNED, State.SUBMITTED, State.LANDED)
    SENT = (State.LANDED, State.CONFIRMED, State.ADOPTED)

    id = models.BigAutoField(primary_key=True)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="chain_transactions")
    direction = models.CharField(max_length=3, choices=Direction)
    state = models.CharField(max_length=16, choices=State)

    lt = models.BigIntegerField(null=True)
    tx_hash = models.CharField(max_length=64, blank=True)
    mc_seqno = models.BigIntegerField(null=True)
    chain_at = models.DateTimeField(null=True)
    received_nano = models.BigIntegerField(default=0)
    sent_nano = models.BigIntegerField(default=0)
    fee_nano = models.BigIntegerField(default=0)
    chain_balance_nano = models.BigIntegerField(null=True)  # shown for a block's last one only
    source = models.CharField(max_length=67, blank=True)
    out_msg_hash = models.CharField(max_length=64, blank=True)

    settlement = models.ForeignKey(
        Settlement, models.PROTECT, null=True, related_name="chain_transactions"
    )
    destination = models.CharField(max_length=67, blank=True)
    amount_nano = models.BigIntegerField(null=True)
    withheld_nano = models.BigIntegerField(default=0)
    seqno = models.BigIntegerField(null=True)
    valid_until_at = models.DateTimeField(null=True)
    boc = models.BinaryField(null=True)
    msg_hash = models.CharField(max_length=64, blank=True)
    hash_norm = models.CharField(max_length=64, blank=True)
    body_hash = models.CharField(max_length=64, blank=True)
    signed_at = models.DateTimeField(null=True)
    broadcast_at = models.DateTimeField(null=True)
    last_answer = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "ton_transactions"
        constraints = [
            models.UniqueConstraint(name="ton_transaction_once", fields=["wallet", "lt"]),
            models.UniqueConstraint(
                name="attempt_one_live_per_wallet",
                fields=["wallet"],
                condition=Q(direction="OUT", state__in=["SIGNED", "SUBMITTED", "LANDED"]),
            ),
            models.UniqueConstraint(
                name="attempt_message_once", fields=["hash_norm"], condition=~Q(hash_norm="")
            ),
            models.CheckConstraint(
                name="ton_transaction_on_chain_whole",
                condition=Q(
                    state__in=["SIGNED", "SUBMITTED", "EXPIRED"],
                    lt=None,
                    tx_hash="",
                    mc_seqno=None,
                    chain_at=None,
                    chain_balance_nano=None,
                )
                | (
                    Q(
                        state__in=[
                            "LANDED",
                            "CONFIRMED",
                            "FAILED",
                            "BOUNCED",
                            "FOREIGN",
                            "ADOPTED",
                        ],
                        lt__isnull=False,
                        mc_seqno__isnull=False,
                        chain_at__isnull=False,
                    )
                    & ~Q(tx_hash="")
                ),
            ),
            models.CheckConstraint(
                name="ton_transaction_in_is_confirmed",
                condition=~Q(direction="IN") | Q(state="CONFIRMED", settlement=None),
            ),
            models.CheckConstraint(
                name="attempt_signed_whole",
                condition=Q(direction="IN")
                | Q(state="FOREIGN", settlement=None)
                | Q(state__in=["ADOPTED", "BOUNCED"], settlement__isnull=False, amount_nano__gt=0)
                | Q(state="ADOPTED", settlement=None, amount_nano=0, sent_nano=0)
                | (
                    Q(
                        settlement__isnull=False,
                        amount_nano__gt=0,
                        withheld_nano__gte=0,
                        seqno__isnull=False,
                        valid_until_at__isnull=False,
                        boc__isnull=False,
                        signed_at__isnull=False,
                    )
                    & ~Q(destination="")
                    & ~Q(hash_norm="")
                ),
            ),
        ]
        indexes = [models.Index(name="ton_transaction_tx_hash", fields=["tx_hash"])]

    def __str__(self) -> str:
        return f"{self.direction} {self.tx_hash or self.msg_hash}"


class Deposit(models.Model):
    """Money that arrived for a deal, from the block that showed it until its rule is applied."""

    class State(models.TextChoices):
        CONFIRMING = "CONFIRMING"
        ALLOCATED = "ALLOCATED"
        REVIEW = "REVIEW"

    chain_transaction = models.OneToOneField(
        TonTransaction, models.PROTECT, primary_key=True, related_name="deposit"
    )
    escrow = models.ForeignKey(Escrow, models.PROTECT, related_name="deposits")
    amount_nano = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.CONFIRMING)
    confirmed_at_seqno = models.BigIntegerField()
    rule = models.CharField(max_length=200, blank=True)
    seen_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    reminders = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "deposits"
        constraints = [
            models.CheckConstraint(name="deposit_positive", condition=Q(amount_nano__gt=0)),
            models.CheckConstraint(
                name="deposit_decided_with_rule",
                condition=Q(state="CONFIRMING", decided_at=None, rule="")
                | (Q(state__in=["ALLOCATED", "REVIEW"], decided_at__isnull=False) & ~Q(rule="")),
            ),
        ]
        indexes = [
            models.Index(
                name="deposit_confirming",
                fields=["confirmed_at_seqno"],
                condition=Q(state="CONFIRMING"),
            ),
            models.Index(
                name="deposit_in_review", fields=["decided_at"], condition=Q(state="REVIEW")
            ),
        ]


class CommissionTier(models.Model):
    """The commission rate, in basis points, of prices from `min_nano` up to below `max_nano`."""

    min_nano = models.BigIntegerField()
    max_nano = models.BigIntegerField(null=True)
    rate_bp = models.PositiveSmallIntegerField()

    class Meta:
        db_table = "commission_tiers"
        constraints = [
            models.CheckConstraint(
                name="commission_rate_in_range", condition=Q(rate_bp__gte=0, rate_bp__lte=5000)
            ),
            models.CheckConstraint(
                name="commission_tier_range",
                condition=Q(min_nano__gte=0) & (Q(max_nano=None) | Q(max_nano__gt=F("min_nano"))),
            ),
        ]


class PauseEpoch(models.Model):
    """The epoch that Redis must hold for payouts to run: a Redis that lost its memory stops them.

    Only installation, an operator's confirmation and a restore write it; after a restore two
    operators confirm (`needs_second`).
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.UUIDField()
    needs_second = models.BooleanField(default=False)
    confirmed_by = models.CharField(max_length=100)
    confirmed_at = models.DateTimeField()

    class Meta:
        db_table = "pause_epoch"
        constraints = [models.CheckConstraint(name="pause_epoch_single", condition=Q(id=1))]


class OperatorRequest(models.Model):
    """What an operator asked for about money: done at once, or waiting for a second person.

    `payload` is exactly what is carried out, and `digest` its digest when it was asked for.
    """

    class State(models.TextChoices):
        PENDING = "PENDING"
        DONE = "DONE"
        REJECTED = "REJECTED"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    action = models.CharField(max_length=64)
    payload = models.JSONField()
    digest = models.CharField(max_length=64)
    amount_nano = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=500)
    needs_second = models.BooleanField()
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    requested_by = models.BigIntegerField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.BigIntegerField(null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "operator_requests"
        permissions = [
            ("operate_money", "Can act on deposits, payouts and wallets"),
            ("approve_money", "Can approve what needs a second person"),
        ]
        constraints = [
            models.CheckConstraint(
                name="operator_request_reasoned", condition=~Q(reason="") & ~Q(action="")
            ),
            models.CheckConstraint(
                name="operator_request_decided_whole",
                condition=Q(state="PENDING", decided_by=None, decided_at=None)
                | (~Q(state="PENDING") & Q(decided_by__isnull=False, decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="operator_request_second_is_another",
                condition=Q(needs_second=False)
                | ~Q(state="DONE")
                | ~Q(decided_by=F("requested_by")),
            ),
        ]
        indexes = [
            models.Index(name="operator_request_by", fields=["requested_by", "-requested_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} · {self.state}"
