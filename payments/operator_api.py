"""What operators ask for over HTTP. The door is `operations.requests`; nothing is decided here."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request

from accounts.authentication import OperatorAuthentication
from advertmarket.actors import Actor
from advertmarket.api import limits
from advertmarket.api.fields import CamelSerializer, NanoField
from advertmarket.api.views import ApiView, Data, command, query
from advertmarket.money import MAX_NANO
from advertmarket.reasons import LONGEST

from .deposits.review import NotInReview
from .models import CommissionTier, OperatorRequest
from .operations import requests
from .operations.tiers import MOST_BP
from .selectors import deposit_in_review
from .sending import pause
from .sending.pause import PauseState


class ReasonBodySerializer(CamelSerializer):
    """Why, and the amount as the operator saw it."""

    amount_nano = NanoField(minimum=1)
    reason = serializers.CharField(max_length=LONGEST)


class DepositBodySerializer(ReasonBodySerializer):
    """Which deposit of the deal."""

    deposit_id = serializers.IntegerField(min_value=1, max_value=MAX_NANO)


class TierSerializer(CamelSerializer):
    """The rate, in basis points, of prices from `minNano` up to below `maxNano`."""

    min_nano = NanoField()
    max_nano = NanoField(minimum=1, allow_null=True)
    rate_bp = serializers.IntegerField(min_value=0, max_value=MOST_BP)


class TiersSerializer(CamelSerializer):
    """All tiers, from the lowest."""

    tiers = TierSerializer(many=True)


class TiersBodySerializer(TiersSerializer):
    """All tiers, and why."""

    reason = serializers.CharField(max_length=LONGEST)


class OperatorRequestSerializer(CamelSerializer):
    """What was asked for: done, or waiting (until `expiresAt`) for a second person."""

    id = serializers.UUIDField()
    action = serializers.CharField()
    payload = serializers.JSONField()
    amount_nano = NanoField()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=OperatorRequest.State.values)
    needs_second = serializers.BooleanField()
    requested_by = serializers.IntegerField()
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class WhySerializer(CamelSerializer):
    """Why."""

    reason = serializers.CharField(max_length=LONGEST)


class ResumeBodySerializer(WhySerializer):
    """The pause that the operator saw, and why it ends."""

    pause = serializers.IntegerField(min_value=0, max_value=MAX_NANO)


class PauseSerializer(CamelSerializer):
    """All that keeps payouts paused, and the last change: its number, by whom, when and why."""

    paused = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField())
    pause = serializers.IntegerField(source="number")
    by = serializers.CharField()
    why = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    takes_two = serializers.BooleanField()


class OperatorRequestsSerializer(CamelSerializer):
    """What waits for a second person, oldest first."""

    items = OperatorRequestSerializer(many=True)


class OperatorView(ApiView):
    """The base of operators' views: signed in to the back office, with its CSRF token."""

    authentication_classes = [OperatorAuthentication]
    read_limit = write_limit = limits.OPERATOR

    @property
    def actor(self) -> Actor:
        """The operator, whom `OperatorAuthentication` counts below zero."""
        return Actor.operator(-self.caller_id)

    def ask(self, name: str, payload: Data, reason: str, evidence: Any = None) -> OperatorRequest:
        """Do it, or keep it for a second person."""
        return requests.ask(
            name=name,
            payload=payload,
            reason=reason,
            actor=self.actor,
            at=self.at,
            evidence=evidence,
        )


class _DepositView(OperatorView):
    name: ClassVar[str]

    def ask_about(self, deal_id: UUID, body: Data) -> OperatorRequest:
        """Ask for the view's operation on a deposit of the deal in the path."""
        if not deposit_in_review(deposit_id=body["deposit_id"], reference=deal_id):
            raise NotInReview
        payload = {"deposit_id": body["deposit_id"], "nano": body["amount_nano"]}
        return self.ask(self.name, payload, body["reason"])


class AdminDepositApproveView(_DepositView):
    """A large deposit that is right."""

    name = "deposit.approve"

    @command(body=DepositBodySerializer, answer=OperatorRequestSerializer)
    def post(self, body: Data, deal_id: UUID) -> OperatorRequest:
        """Let it go where the rule sends it."""
        return self.ask_about(deal_id, body)


class AdminDepositRejectView(_DepositView):
    """A large deposit that is refused."""

    name = "deposit.reject"

    @command(body=DepositBodySerializer, answer=OperatorRequestSerializer)
    def post(self, body: Data, deal_id: UUID) -> OperatorRequest:
        """Give it back; the deal is over."""
        return self.ask_about(deal_id, body)


class _SettlementView(OperatorView):
    name: ClassVar[str]

    def ask_about(self, settlement_id: UUID, body: Data) -> OperatorRequest:
        """Ask for the view's operation on a settlement."""
        payload = {"settlement_id": settlement_id, "nano": body["amount_nano"]}
        return self.ask(self.name, payload, body["reason"])


class AdminTransferRetryView(_SettlementView):
    """A transfer that was given up, or waits."""

    name = "settlement.retry"

    @command(body=ReasonBodySerializer, answer=OperatorRequestSerializer)
    def post(self, body: Data, settlement_id: UUID) -> OperatorRequest:
        """Try it again at once."""
        return self.ask_about(settlement_id, body)


class AdminTransferHoldView(_SettlementView):
    """A transfer that must not go out."""

    name = "settlement.hold"

    @command(body=ReasonBodySerializer, answer=OperatorRequestSerializer)
    def post(self, body: Data, settlement_id: UUID) -> OperatorRequest:
        """Keep it from being signed."""
        return self.ask_about(settlement_id, body)


class AdminTransferConfirmView(_SettlementView):
    """A transfer that its recipient has."""

    name = "settlement.confirm"

    @command(body=ReasonBodySerializer, answer=OperatorRequestSerializer)
    def post(self, body: Data, settlement_id: UUID) -> OperatorRequest:
        """Ask for its end; on approval the chain itself must show it."""
        return self.ask_about(settlement_id, body)


class AdminCommissionTiersView(OperatorView):
    """The commission of new deals."""

    @query(answer=TiersSerializer)
    def get(self) -> Data:
        """Return the tiers."""
        return {"tiers": CommissionTier.objects.order_by("min_nano")}

    @command(body=TiersBodySerializer, answer=OperatorRequestSerializer)
    def put(self, body: Data) -> OperatorRequest:
        """Ask for other tiers in their place; deals keep the rate that they were made with."""
        return self.ask("commission.set_tiers", {"tiers": body["tiers"]}, body["reason"])


class AdminPauseView(OperatorView):
    """The pause of all payouts."""

    def check_throttles(self, request: Request) -> None:
        """Count nothing: that needs Redis, and the pause must not."""

    @query(answer=PauseSerializer)
    def get(self) -> PauseState:
        """Return whether payouts are paused, and who changed that last."""
        return pause.pause_state()

    @command(body=WhySerializer, answer=OperatorRequestSerializer)
    def post(self, body: Data) -> OperatorRequest:
        """Stop every broadcast of money."""
        return self.ask("payouts.pause", {}, body["reason"])


class AdminResumeView(OperatorView):
    """The end of the pause."""

    def resume(self, body: Data) -> OperatorRequest:
        """Lift it, and commit that: only then Redis is told."""
        with transaction.atomic():
            return self.ask("payouts.resume", {"pause": body["pause"]}, body["reason"])

    @command(
        body=ResumeBodySerializer,
        answer=OperatorRequestSerializer,
        prepare=lambda view, body: view.resume(body),
        idempotent=False,
    )
    def post(self, request: OperatorRequest) -> OperatorRequest:
        """Let payouts run again, or ask a second person after a pause by the platform itself."""
        if request.state == OperatorRequest.State.DONE:
            pause.refuse_if_paused()
        return request


class AdminRequestsView(OperatorView):
    """What waits for a second person."""

    @query(answer=OperatorRequestsSerializer)
    def get(self) -> Data:
        """Return the open requests, oldest first."""
        return {"items": requests.open_requests(at=self.at)}


class AdminRequestApproveView(OperatorView):
    """The second person's yes."""

    def look(self) -> Any:
        """Ask the chain what the operation has to know."""
        return requests.look_again(self.kwargs["request_id"])

    @command(answer=OperatorRequestSerializer, prepare=lambda view, *_: view.look())
    def post(self, evidence: Any, request_id: UUID) -> OperatorRequest:
        """Do exactly what was asked for."""
        return requests.approve(
            request_id=request_id, actor=self.actor, at=self.at, evidence=evidence
        )


class AdminRequestRejectView(OperatorView):
    """The second person's no."""

    @command(answer=OperatorRequestSerializer)
    def post(self, request_id: UUID) -> OperatorRequest:
        """Refuse what another person asked for."""
        return requests.reject(request_id=request_id, actor=self.actor, at=self.at)
