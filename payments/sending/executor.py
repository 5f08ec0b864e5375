"""How money leaves: each owed transfer is paid once, whichever process dies at whichever line.

A worker leases a due settlement, looks at the chain outside any database transaction, then locks,
checks again and records. The signed message is committed before it is broadcast; from then on only
those bytes are sent, until they are seen on chain or can no longer land. Only the chain reader,
which misses no block, says which of the two it was.
"""

from __future__ import annotations

import base64
import datetime as dt
import logging
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, When
from django.utils import timezone, translation

from accounts.selectors import Destination
from advertmarket.actors import Actor
from payments.models import ChainCursor, Settlement, TonTransaction, Wallet
from payments.thresholds import MAX_CLOCK_SKEW
from payments.ton.api import SearchUnfinished, TonApi, TonUnavailable
from payments.ton.wallet import Signer, fee_question, subwallet_address
from payments.wallets import TREASURY, freeze

from . import settlements, unclaimed
from .limits import check_limits
from .pause import PayoutsPaused, refuse_if_paused
from .receipts import receipt_of
from .transfers import (
    BETWEEN_OWN_WALLETS,
    LATER,
    MAX_TOP_UP_NANO,
    MUCH_LATER,
    SOON,
    NeedsGas,
    NotNow,
    NotWorthTheFee,
    Plan,
    Unclaimed,
    destination_of,
    payee_of,
    plan,
    refuse_if_empty,
)

logger = logging.getLogger(__name__)

LEASE = dt.timedelta(seconds=60)
VALIDITY = dt.timedelta(seconds=120)
EXPIRY_MARGIN = dt.timedelta(seconds=60)
REBROADCAST = dt.timedelta(seconds=10)

MIN_TOP_UP_NANO = 10_000_000
"""0.01 TON: of what arrives its receipt eats the first ten thousands of nanoTON."""

_LIVE_OF_ITS_WALLET = TonTransaction.objects.filter(
    wallet=OuterRef("wallet"),
    direction=TonTransaction.Direction.OUT,
    state__in=TonTransaction.LIVE,
)
"""A wallet sends one at a time: a thousand that wait for it cost the others no call."""

_SWEEPS_LAST = Case(When(kind=Settlement.Kind.COMMISSION_SWEEP, then=1), default=0)
"""The platform's own money waits while somebody else's is due."""

ACTOR = Actor.system("payout-executor")


class LeaseLost(Exception):
    """The settlement is not as this worker found it; what others did stands, this one lets go."""


@dataclass(frozen=True)
class Sight:
    """What the chain showed just before a signature."""

    block_at: dt.datetime
    seqno: int
    balance_nano: int
    is_deployed: bool
    recipient_is_active: bool
    quote_nano: int

    def is_behind(self, wallet: Wallet) -> bool:
        """Whether the node lacks what the books have: only a message of ours takes money away."""
        return self.seqno < wallet.expected_seqno or self.balance_nano < wallet.balance_nano


class Executor:
    """One worker's run over the due settlements."""

    def __init__(self, client: TonApi, signer: Signer) -> None:
        self._client = client
        self._signer = signer
        self._lease = uuid.uuid4()

    def run(self, *, at_most: int) -> int:
        """Take one step with each of up to `at_most` due settlements; return how many were due."""
        leased = self._take(at_most)
        for pk in leased:
            try:
                with translation.override("en"):  # what is stored is one and the same for everybody
                    self._step(pk)
            except LeaseLost:
                logger.warning("settlement %s is in other hands, or has moved on", pk)
                self._finish(pk)
            except Exception as problem:  # one that fails keeps no other one waiting
                logger.exception("settlement %s", pk)
                self._finish(pk, NotNow(f"an error to be mended: {problem!r}", MUCH_LATER))
        return len(leased)

    def _take(self, at_most: int) -> list[uuid.UUID]:
        now = timezone.now()
        with transaction.atomic():
            due = (
                Settlement.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(Q(leased_until=None) | Q(leased_until__lt=now))
                .filter(state__in=Settlement.WORKING, due_at__lte=now)
                .exclude(Exists(_LIVE_OF_ITS_WALLET), state=Settlement.State.QUEUED)
                .order_by(_SWEEPS_LAST, "due_at")[:at_most]
            )
            pks = [settlement.pk for settlement in due]
            Settlement.objects.filter(pk__in=pks).update(
                lease_owner=self._lease, leased_until=now + LEASE
            )
        return pks

    def _step(self, pk: uuid.UUID) -> None:
        settlement = Settlement.objects.select_related("wallet").get(pk=pk)
        try:
            if settlement.state == Settlement.State.QUEUED:
                self._sign(settlement)
                self._broadcast(pk)
            elif settlement.state in Settlement.WORKING:
                self._follow(settlement)
            self._finish(pk)
        except NotWorthTheFee:
            self._write_off(pk)
        except NotNow as wait:
            self._finish(pk, wait)
        except PayoutsPaused as paused:
            end = f"the end of a pause: {paused.facts['reason']}"
            self._finish(pk, NotNow(end, LATER, is_ours=False))
        except SearchUnfinished:
            self._finish(pk, NotNow("the recipient's side, among many messages", SOON))
        except TonUnavailable as away:
            self._finish(pk, NotNow(f"the TON network: {away.facts['reason']}", LATER))

    # --- QUEUED -> SIGNED ---------------------------------------------------------------------

    def _sign(self, settlement: Settlement) -> None:
        refuse_if_paused()
        if settlement.wallet.frozen_at is not None:
            frozen = f"the wallet is frozen: {settlement.wallet.frozen_reason}"
            raise NotNow(frozen, MUCH_LATER, stuck="the wallet is frozen")
        if _live_attempt(settlement.wallet) is not None:
            raise NotNow("another transfer of this wallet", SOON)
        destination = destination_of(settlement, at=timezone.now())
        sight = self._look(settlement, destination)
        now = timezone.now()
        if abs(now - sight.block_at) > MAX_CLOCK_SKEW:
            raise NotNow(f"chain time {sight.block_at:%H:%M:%S} and ours to agree", LATER)
        with transaction.atomic():
            given_up = self._record_signature(settlement.pk, destination, sight, now)
        if given_up:
            raise NotNow(given_up, LATER)

    def _look(self, settlement: Settlement, destination: Destination) -> Sight:
        wallet = settlement.wallet
        head = self._client.head()
        state = self._client.wallet_state(wallet.address)
        refuse_if_empty(settlement=settlement, balance_nano=state.balance)
        active = self._client.is_active(destination.address)
        question = fee_question(
            public_key=wallet.public_key,
            subwallet=wallet.subwallet,
            seqno=state.seqno,
            valid_until=int((head.gen_utime + VALIDITY).timestamp()),
            destination=destination.address,
            # half of it: the emulated wallet must be able to send what it is asked about
            amount_nano=max(1, min(settlement.amount_nano, state.balance) // 2),
            comment=destination.comment,
            bounce=active,
            deploy=not state.is_active,
        )
        fee_nano = self._client.estimate_fee(wallet.address, question)
        return Sight(
            block_at=head.gen_utime,
            seqno=state.seqno,
            balance_nano=state.balance,
            is_deployed=state.is_active,
            recipient_is_active=active,
            quote_nano=fee_nano + -(-fee_nano // 5),
        )

    def _record_signature(
        self, pk: uuid.UUID, destination: Destination, sight: Sight, now: dt.datetime
    ) -> str:
        """Check all again under the locks, then sign and store; return why it was given up, if."""
        settlement = self._lock(pk)
        wallet = settlement.wallet
        if settlement.state != Settlement.State.QUEUED:
            raise LeaseLost
        if wallet.public_key != self._signer.public_key:
            return _give_up(settlement, "the wallet belongs to another mnemonic", now)
        if wallet.frozen_at is not None:
            return _give_up(settlement, f"the wallet is frozen: {wallet.frozen_reason}", now)
        if _live_attempt(wallet) is not None:
            raise NotNow("another transfer of this wallet", SOON)
        if sight.seqno > wallet.expected_seqno:
            reason = f"the chain's seqno is {sight.seqno}, ours {wallet.expected_seqno}"
            freeze(wallet=wallet, reason=reason, at=now)
            return _give_up(settlement, f"the wallet is frozen: {reason}", now)
        if sight.is_behind(wallet):
            shown = f"seqno {sight.seqno}, {sight.balance_nano} nanoTON"
            raise NotNow(f"a node that is not behind ({shown})", LATER)
        if destination != destination_of(settlement, at=now):
            raise NotNow("a steady address", SOON)
        if not self._is_own(settlement, destination.address):
            return _give_up(settlement, "it would not stay between own wallets", now)
        sending = plan(
            settlement=settlement,
            wallet=wallet,
            available_nano=wallet.balance_nano,
            quote_nano=sight.quote_nano,
        )
        check_limits(settlement=settlement, sent_nano=sending.sent_nano, at=now)
        refuse_if_paused()
        self._store_attempt(settlement, wallet, destination, sight, sending, now)
        return ""

    def _is_own(self, settlement: Settlement, address: str) -> bool:
        """Whether what must stay with us does: no limit holds it, so the signer's own key says."""
        if settlement.kind not in BETWEEN_OWN_WALLETS:
            return True
        to = Wallet.objects.filter(address=address).first()
        return to is not None and address == subwallet_address(
            self._signer.public_key, to.subwallet
        )

    def _store_attempt(
        self,
        settlement: Settlement,
        wallet: Wallet,
        destination: Destination,
        sight: Sight,
        sending: Plan,
        now: dt.datetime,
    ) -> None:
        valid_until_at = sight.block_at + VALIDITY
        signed = self._signer.sign_transfer(
            subwallet=wallet.subwallet,
            seqno=wallet.expected_seqno,
            valid_until=int(valid_until_at.timestamp()),
            destination=destination.address,
            amount_nano=sending.sent_nano,
            comment=destination.comment,
            bounce=sight.recipient_is_active,
            deploy=not sight.is_deployed,
        )
        TonTransaction.objects.create(
            wallet=wallet,
            direction=TonTransaction.Direction.OUT,
            state=TonTransaction.State.SIGNED,
            settlement=settlement,
            destination=destination.address,
            amount_nano=sending.sent_nano,
            withheld_nano=sending.withheld_nano,
            seqno=wallet.expected_seqno,
            valid_until_at=valid_until_at,
            boc=signed.boc,
            msg_hash=signed.msg_hash,
            hash_norm=signed.hash_norm,
            body_hash=signed.body_hash,
            signed_at=now,
        )
        settlement.attempts += 1
        settlement.payee_id = payee_of(settlement)
        settlement.unclaimed_since_at = settlement.reminded_day = None
        settlement.save(
            update_fields=["attempts", "payee_id", "unclaimed_since_at", "reminded_day"]
        )
        settlements.move(
            settlement=settlement,
            state=Settlement.State.SIGNED,
            waiting_for="the broadcast",
            due_at=now,
            at=now,
        )

    # --- SIGNED -> SUBMITTED ------------------------------------------------------------------

    def _broadcast(self, pk: uuid.UUID) -> None:
        """Send the stored bytes. Whatever the answer, or none: they may land now."""
        attempt = (
            TonTransaction.objects.filter(settlement=pk, state__in=TonTransaction.LIVE)
            .select_related("wallet")
            .first()
        )
        if attempt is None:
            return
        assert attempt.valid_until_at is not None
        assert attempt.boc is not None
        if timezone.now() >= attempt.valid_until_at:
            return
        if attempt.broadcast_at is None and attempt.wallet.frozen_at is not None:
            frozen = f"the wallet is frozen: {attempt.wallet.frozen_reason}"
            raise NotNow(frozen, SOON)
        boc = base64.b64encode(attempt.boc).decode()
        try:
            answer = self._client.send(boc, refuse=refuse_if_paused)
        except TonUnavailable as silence:
            answer = f"no answer: {silence.facts['reason']}"
        now = timezone.now()
        with transaction.atomic():
            settlement = self._lock(pk)
            attempt.refresh_from_db(fields=["state"])
            TonTransaction.objects.filter(pk=attempt.pk).update(
                broadcast_at=now, last_answer=answer[:300]
            )
            if attempt.state == TonTransaction.State.SIGNED:
                TonTransaction.objects.filter(pk=attempt.pk).update(
                    state=TonTransaction.State.SUBMITTED
                )
                settlements.move(
                    settlement=settlement,
                    state=Settlement.State.SUBMITTED,
                    waiting_for="the chain",
                    due_at=now + SOON,
                    at=now,
                )

    # --- SUBMITTED -> CONFIRMED, or a new attempt ---------------------------------------------

    def _follow(self, settlement: Settlement) -> None:
        attempt = TonTransaction.objects.filter(
            settlement=settlement, state__in=TonTransaction.LIVE
        ).first()
        if attempt is None:
            raise NotNow("the chain reader", SOON)
        if attempt.state == TonTransaction.State.LANDED:
            self._confirm(settlement.pk, attempt)
        elif _can_never_land(attempt):
            self._expire(settlement.pk, attempt.pk)
        else:
            now = timezone.now()
            if attempt.broadcast_at is None or now - attempt.broadcast_at > REBROADCAST:
                self._broadcast(settlement.pk)
            raise NotNow("the chain", SOON)

    def _confirm(self, pk: uuid.UUID, attempt: TonTransaction) -> None:
        received = receipt_of(attempt, self._client)
        if received is None:
            raise NotNow("the recipient's side", SOON)
        if received.bounced_back:
            raise NotNow("the bounced money", SOON)
        own = Wallet.objects.filter(address=received.account).first()
        if own is not None and own.last_lt < received.lt:  # else gas is sent before it is counted
            raise NotNow("the chain reader", SOON)
        now = timezone.now()
        with transaction.atomic():
            settlement = self._lock(pk)
            fresh = TonTransaction.objects.get(pk=attempt.pk)
            if fresh.state != TonTransaction.State.LANDED:
                raise LeaseLost
            settlements.confirm(settlement=settlement, attempt=fresh, at=now)

    def _expire(self, pk: uuid.UUID, attempt_pk: int) -> None:
        now = timezone.now()
        with transaction.atomic():
            settlement = self._lock(pk)
            attempt = TonTransaction.objects.get(pk=attempt_pk)
            if not _can_never_land(attempt):
                raise LeaseLost
            attempt.state = TonTransaction.State.EXPIRED
            attempt.save(update_fields=["state"])
            settlements.try_anew(settlement=settlement, why="the last one expired", at=now)

    # --- instead of a transfer ----------------------------------------------------------------

    def _write_off(self, pk: uuid.UUID) -> None:
        now = timezone.now()
        with transaction.atomic():
            settlement = self._lock(pk)
            if settlement.state != Settlement.State.QUEUED:
                raise LeaseLost
            why = "not worth its fee"
            settlements.write_off(settlement=settlement, why=why, actor=ACTOR, at=now)
        self._finish(pk)

    def _wait(self, pk: uuid.UUID, wait: NotNow) -> None:
        """Tell whoever has to act before this settlement can go on; each is told once."""
        now = timezone.now()
        with transaction.atomic():
            treasury = Wallet.objects.select_for_update(no_key=True).get(subwallet=TREASURY)
            settlement = self._lock(pk)
            if settlement.state != Settlement.State.QUEUED:
                raise LeaseLost  # an operator held it, or gave it back, since we looked
            if isinstance(wait, Unclaimed):
                unclaimed.tell_first(settlement=settlement, at=now)
            elif not isinstance(wait, NeedsGas):
                settlements.tell_stuck(settlement=settlement, reason=wait.stuck, at=now)
            elif settlements.gas_is_coming(settlement):
                pass
            elif wait.shortfall_nano > MAX_TOP_UP_NANO:
                reason = "the wallet lacks more than a fee"
                settlements.give_up(settlement=settlement, reason=reason, at=now)
            else:
                settlements.top_up(
                    settlement=settlement,
                    treasury=treasury,
                    amount_nano=max(MIN_TOP_UP_NANO, 2 * wait.shortfall_nano),
                    at=now,
                )

    # --- the lease ----------------------------------------------------------------------------

    def _lock(self, pk: uuid.UUID) -> Settlement:
        settlement = settlements.lock(pk)
        if settlement.lease_owner != self._lease:
            raise LeaseLost
        return settlement

    def _finish(self, pk: uuid.UUID, wait: NotNow | None = None) -> None:
        """Give the lease back; a settlement that waits says for what and until when."""
        mine = Settlement.objects.filter(pk=pk, lease_owner=self._lease)
        if wait is not None and (wait.stuck or isinstance(wait, NeedsGas)):
            self._wait(pk, wait)
        if wait is not None:
            now = timezone.now()
            mine.filter(state__in=Settlement.WORKING).update(
                waiting_for=wait.waiting_for[:300],
                payable_since_at=F("payable_since_at") if wait.is_ours else now,
                due_at=now + wait.retry_in,
            )
        mine.update(lease_owner=None, leased_until=None)


def _live_attempt(wallet: Wallet) -> TonTransaction | None:
    return TonTransaction.objects.filter(
        wallet=wallet,
        direction=TonTransaction.Direction.OUT,
        state__in=TonTransaction.LIVE,
    ).first()


def _give_up(settlement: Settlement, reason: str, at: dt.datetime) -> str:
    settlements.give_up(settlement=settlement, reason=reason, at=at)
    return reason


def _can_never_land(attempt: TonTransaction) -> bool:
    """Whether every block that could hold the attempt is read, and none did."""
    cursor = ChainCursor.objects.get()
    assert attempt.valid_until_at is not None
    return (
        attempt.state in (TonTransaction.State.SIGNED, TonTransaction.State.SUBMITTED)
        and cursor.block_at > attempt.valid_until_at + EXPIRY_MARGIN
    )


def make_signer() -> Signer:
    """Return the signer of this process's mnemonic.

    Raises:
        ValueError: the mnemonic is not valid, or not that of TON_WALLET_PUBLIC_KEY.
    """
    signer = Signer(settings.TON_WALLET_MNEMONIC)
    if signer.public_key != settings.TON_WALLET_PUBLIC_KEY:
        raise ValueError("TON_WALLET_MNEMONIC is not the mnemonic of TON_WALLET_PUBLIC_KEY")
    return signer
