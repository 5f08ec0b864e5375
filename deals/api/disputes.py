"""Disputes over HTTP."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from advertmarket.api import limits
from advertmarket.api.fields import CamelSerializer
from advertmarket.api.views import Data, command, query
from deals.disputes import evidence, selectors, services
from deals.disputes.selectors import DisputeView
from deals.models import Dispute, DisputeEvidence

from .serializers import WHO
from .views import DealApiView


class NewDisputeSerializer(CamelSerializer):
    """Why the deal is disputed; the statement is the first evidence."""

    reason = serializers.ChoiceField(choices=[reason.value for reason in services.OF_PARTIES])
    statement = serializers.CharField(max_length=1000)


class NewEvidenceSerializer(CamelSerializer):
    """A text, a link, a screenshot's `file_id`, or the hash of a chain transaction."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in evidence.OF_PARTIES])
    content = serializers.CharField(max_length=evidence.MAX_TEXT)


class EvidenceSerializer(CamelSerializer):
    """What somebody showed, and its SHA-256; `addedBy` is advertiser, owner, operator or system."""

    kind = serializers.ChoiceField(choices=DisputeEvidence.Kind.choices)
    content = serializers.CharField()
    content_hash = serializers.CharField()
    added_by = serializers.ChoiceField(choices=WHO)
    added_at = serializers.DateTimeField()


class DisputeSerializer(CamelSerializer):
    """A dispute, its evidence, and its decision; `ownerBp` is the owner's part of a split.

    `openedBy` is advertiser, owner, operator or system.
    """

    state = serializers.ChoiceField(choices=Dispute.State.choices)
    reason = serializers.ChoiceField(choices=Dispute.Reason.choices)
    opened_by = serializers.ChoiceField(choices=WHO)
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    decision = serializers.CharField(allow_blank=True)
    owner_bp = serializers.IntegerField(allow_null=True)
    decision_reason = serializers.CharField(allow_blank=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    evidence = EvidenceSerializer(many=True)


class DealDisputeView(DealApiView):
    """The dispute about a deal."""

    write_limit = limits.DISPUTE

    @query(answer=DisputeSerializer)
    def get(self, deal_id: UUID) -> DisputeView:
        """Return the dispute."""
        return selectors.get_dispute(deal_id, actor=self.actor)

    @command(body=NewDisputeSerializer, answer=DisputeSerializer, status=201)
    def post(self, body: Data, deal_id: UUID) -> DisputeView:
        """Dispute the deal: its money stays in escrow until an operator has decided."""
        services.open_dispute(
            deal_id=deal_id,
            reason=services.Reason(body["reason"]),
            statement=body["statement"],
            actor=self.actor,
            at=self.at,
        )
        return selectors.get_dispute(deal_id, actor=self.actor)


class DealDisputeEvidenceView(DealApiView):
    """What shows who is right."""

    write_limit = limits.DISPUTE

    @command(body=NewEvidenceSerializer, answer=DisputeSerializer, status=201)
    def post(self, body: Data, deal_id: UUID) -> DisputeView:
        """Add evidence; it cannot be changed or taken back."""
        services.add_evidence(
            deal_id=deal_id,
            kind=services.Kind(body["kind"]),
            content=body["content"],
            actor=self.actor,
            at=self.at,
        )
        return selectors.get_dispute(deal_id, actor=self.actor)
