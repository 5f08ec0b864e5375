"""What is ours on chain, and how far the chain is booked."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


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
        indexes = [
            models.Index(
                name="wallet_frozen", fields=["frozen_at"], condition=Q(frozen_at__isnull=False)
            ),
        ]
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


class TonTransaction(models.Model):
    """A chain transaction of an own wallet: IN as the chain showed it; OUT from our signature on.

    An OUT row is an attempt at a settlement: `amount_nano` is sent, and `withheld_nano` of what is
    owed is kept back for the network's fee. Until it lands its chain columns are empty; an OUT
    that landed without a settlement was signed by somebody else, or its row was lost, and its
    wallet is frozen. Of that one `amount_nano` is what its one message carried, 0 if it sent none.
    Adopted, it has none if it sent nothing, or if its deal was lost as well (BOUNCED, if that came
    back).
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
        "Settlement", models.PROTECT, null=True, related_name="chain_transactions"
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
                | Q(state__in=["ADOPTED", "BOUNCED"], settlement=None, amount_nano__isnull=False)
                & Q(amount_nano=F("sent_nano"))
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
        indexes = [
            models.Index(name="ton_transaction_tx_hash", fields=["tx_hash"]),
            models.Index(name="ton_transaction_block", fields=["mc_seqno"]),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.tx_hash or self.msg_hash}"
