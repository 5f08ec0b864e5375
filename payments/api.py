"""One's own money over HTTP: each view asks one selector or calls one service."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from advertmarket.api import limits
from advertmarket.api.addresses import AddressBodySerializer
from advertmarket.api.fields import CamelSerializer, NanoField
from advertmarket.api.paging import KeysetPage, PageRequest
from advertmarket.api.views import ApiView, Data, command, query

from . import own_money
from .models import Settlement
from .own_money import OwnTransfer, Summary
from .sending import withdrawals
from .sending.waiting import Waiting


class SummarySerializer(CamelSerializer):
    """What escrow holds of one's own as advertiser, and what one is owed and was paid as owner.

    `unclaimedNano` is the part of `owedNano` that waits for one's payout address.
    """

    in_escrow_nano = NanoField()
    owed_nano = NanoField()
    unclaimed_nano = NanoField()
    paid_nano = NanoField()


class TransferSerializer(CamelSerializer):
    """A payout or refund. `sentNano` is less than `amountNano` by a refund's network fee."""

    id = serializers.UUIDField()
    deal_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Settlement.Kind.values)
    state = serializers.ChoiceField(choices=Settlement.State.values)
    amount_nano = NanoField()
    sent_nano = NanoField(allow_null=True)
    waiting_for = serializers.ChoiceField(choices=Waiting.values)
    waiting_for_text = serializers.CharField(source="waiting_for.label")
    tx_hash = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)


class WithdrawBodySerializer(AddressBodySerializer):
    """A payout of one's own, and where to send it if not to the payout address one has.

    The address becomes the payout address: proved last with `auth/ton-proof`, or `typedByHand`.
    """

    id = serializers.UUIDField()
    address = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")


class WalletSummaryView(ApiView):
    """One's own money."""

    read_limit = limits.WALLET_READ

    @query(answer=SummarySerializer)
    def get(self) -> Summary:
        """Return the sums."""
        return own_money.summary(self.caller_id)


class WalletTransactionsView(ApiView):
    """One's payouts and refunds."""

    read_limit = limits.WALLET_READ

    @query(answer=TransferSerializer, paged=True)
    def get(self, page: PageRequest) -> KeysetPage[OwnTransfer]:
        """Return them, newest first."""
        return own_money.list_transfers(user_id=self.caller_id, page=page)


class WalletTransactionDetailView(ApiView):
    """One payout or refund."""

    read_limit = limits.WALLET_READ

    @query(answer=TransferSerializer)
    def get(self, settlement_id: UUID) -> OwnTransfer:
        """Return it."""
        return own_money.get_transfer(settlement_id, user_id=self.caller_id)


class WalletWithdrawView(ApiView):
    """A payout that does not reach its owner."""

    write_limit = limits.WALLET_WRITE

    @command(body=WithdrawBodySerializer, answer=TransferSerializer)
    def post(self, body: Data) -> OwnTransfer:
        """Send an unclaimed payout, or one that came back, to one's payout address."""
        rest = {name: value for name, value in body.items() if name != "id"}
        withdrawals.withdraw(
            settlement_id=body["id"], user_id=self.caller_id, **rest, actor=self.actor, at=self.at
        )
        return own_money.get_transfer(body["id"], user_id=self.caller_id)
