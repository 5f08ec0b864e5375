"""Deals over HTTP: each view asks one selector or calls one service."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from accounts.selectors import GivenAddressView
from advertmarket.api import limits
from advertmarket.api.addresses import AddressBodySerializer, AddressSerializer
from advertmarket.api.paging import KeysetPage, PageRequest
from advertmarket.api.views import ApiView, Data, command, query
from channels.ownership import OwnershipProof, prove
from deals import endings, selectors, services
from deals.delivery.calls import rehearse
from deals.delivery.content import Parts
from deals.delivery.draft import Draft
from deals.lifecycle import Action
from deals.models import Brief, Creative
from deals.selectors import DealView, EscrowAndPayout, TimelineEntry
from deals.services import BriefText
from payments.selectors import DepositInstructions

from .serializers import (
    BriefSerializer,
    CreativeSerializer,
    DealFilterSerializer,
    DealSerializer,
    DepositSerializer,
    DraftSerializer,
    EscrowSerializer,
    NewDealSerializer,
    ReasonSerializer,
    RevisionSerializer,
    ScheduleSerializer,
    SeenVersionSerializer,
    TimelineEntrySerializer,
)


class DealApiView(ApiView):
    """The base of all views of deals."""

    read_limit, write_limit = limits.DEALS_READ, limits.DEALS_WRITE

    def deal(self, deal_id: UUID) -> DealView:
        """Return the deal as the caller sees it now."""
        return selectors.get_deal(deal_id, actor=self.actor)


class DealsView(DealApiView):
    """One's deals."""

    @query(answer=DealSerializer, params=DealFilterSerializer, paged=True)
    def get(self, params: Data, page: PageRequest) -> KeysetPage[DealView]:
        """Return the caller's deals, newest first."""
        statuses = [params["status"]] if "status" in params else []
        return selectors.list_deals(
            user_id=self.caller_id, page=page, statuses=statuses, side=params.get("side")
        )

    @command(body=NewDealSerializer, answer=DealSerializer, status=201)
    def post(self, body: Data) -> DealView:
        """Draft a deal: nobody else sees it before it is submitted."""
        brief = BriefText(**body["brief"])
        deal_id = services.create_deal(**{**body, "brief": brief}, actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealDetailView(DealApiView):
    """One deal."""

    @query(answer=DealSerializer)
    def get(self, deal_id: UUID) -> DealView:
        """Return the deal."""
        return self.deal(deal_id)


class DealBriefView(DealApiView):
    """What the advertiser asks for."""

    @query(answer=BriefSerializer)
    def get(self, deal_id: UUID) -> Brief:
        """Return the brief."""
        return self.deal(deal_id).brief

    @command(body=BriefSerializer, answer=BriefSerializer)
    def post(self, body: Data, deal_id: UUID) -> Brief:
        """Change the brief, before the offer is sent."""
        services.change_brief(
            deal_id=deal_id, brief=BriefText(**body), actor=self.actor, at=self.at
        )
        return self.deal(deal_id).brief


class DealSubmitView(DealApiView):
    """The advertiser sends the offer."""

    @command(answer=DealSerializer)
    def post(self, deal_id: UUID) -> DealView:
        """Send the offer to the channel's owner."""
        services.submit_offer(deal_id=deal_id, actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealAcceptView(DealApiView):
    """The owner's side accepts."""

    def ask_telegram(self, body: Data) -> tuple[Data, OwnershipProof | None]:
        """Prove that the owner still answers for the channel, if the caller may accept at all."""
        deal = self.deal(self.kwargs["deal_id"])
        if Action.ACCEPT not in deal.actions:
            return body, None
        return body, prove(deal.channel_id, user_id=deal.owner_id, at=timezone.now())

    @command(body=SeenVersionSerializer, answer=DealSerializer, prepare=ask_telegram)
    def post(self, prepared: tuple[Data, OwnershipProof | None], deal_id: UUID) -> DealView:
        """Accept the offer; the deposit address follows in seconds."""
        body, proof = prepared
        services.accept_offer(deal_id=deal_id, **body, proof=proof, actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealRejectView(DealApiView):
    """The owner's side says no."""

    @command(body=ReasonSerializer, answer=DealSerializer)
    def post(self, body: Data, deal_id: UUID) -> DealView:
        """Reject the offer."""
        services.reject_offer(deal_id=deal_id, reason=body["reason"], actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealCancelView(DealApiView):
    """A side withdraws."""

    @command(body=ReasonSerializer, answer=DealSerializer)
    def post(self, body: Data, deal_id: UUID) -> DealView:
        """Cancel the deal before it is paid; once it is (FUNDED), ask for that, or agree to it."""
        endings.cancel_deal(deal_id=deal_id, reason=body["reason"], actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealTimelineView(DealApiView):
    """What happened."""

    @query(answer=TimelineEntrySerializer, paged=True)
    def get(self, page: PageRequest, deal_id: UUID) -> KeysetPage[TimelineEntry]:
        """Return the deal's history, oldest first."""
        return selectors.timeline(deal_id, actor=self.actor, page=page)


class DealRefundAddressView(DealApiView):
    """Where a refund would go."""

    @command(body=AddressBodySerializer, answer=AddressSerializer)
    def put(self, body: Data, deal_id: UUID) -> GivenAddressView:
        """Set the refund address; then the deposit address is shown."""
        return services.set_refund_address(deal_id=deal_id, **body, actor=self.actor, at=self.at)


class DealDepositView(DealApiView):
    """How to pay."""

    @query(answer=DepositSerializer)
    def get(self, deal_id: UUID) -> DepositInstructions:
        """Return the deposit address, the amount, and how they stand."""
        return selectors.deposit(deal_id, actor=self.actor)


class DealEscrowView(DealApiView):
    """Where the money is."""

    @query(answer=EscrowSerializer)
    def get(self, deal_id: UUID) -> EscrowAndPayout:
        """Return the escrow, the deal's accounts, and the payout."""
        return selectors.escrow(deal_id, actor=self.actor)


@dataclass(frozen=True)
class Rehearsed:
    """A draft, and what Telegram made of it."""

    draft: Draft
    parts: Parts


class DealCreativeView(DealApiView):
    """The ad."""

    write_limit = limits.CREATIVE

    def ask_telegram(self, body: Data) -> Rehearsed:
        """Rehearse the draft, if the caller may submit one at all."""
        draft = DraftSerializer.draft(dict(body))
        draft.check()
        may = Action.SUBMIT_CREATIVE in self.deal(self.kwargs["deal_id"]).actions
        return Rehearsed(draft, rehearse(draft) if may else ())

    @query(answer=CreativeSerializer)
    def get(self, deal_id: UUID) -> Creative:
        """Return the latest version."""
        return selectors.current_creative(deal_id, actor=self.actor)

    @command(body=DraftSerializer, answer=CreativeSerializer, status=201, prepare=ask_telegram)
    def post(self, rehearsed: Rehearsed, deal_id: UUID) -> Creative:
        """Submit a version for the advertiser to approve."""
        services.submit_creative(
            deal_id=deal_id,
            draft=rehearsed.draft,
            parts=rehearsed.parts,
            actor=self.actor,
            at=self.at,
        )
        return selectors.current_creative(deal_id, actor=self.actor)


class DealCreativeHistoryView(DealApiView):
    """Every version of the ad."""

    @query(answer=CreativeSerializer, paged=True)
    def get(self, page: PageRequest, deal_id: UUID) -> KeysetPage[Creative]:
        """Return the versions, oldest first."""
        return selectors.creative_history(deal_id, actor=self.actor, page=page)


class DealCreativeApproveView(DealApiView):
    """The advertiser approves."""

    @command(body=SeenVersionSerializer, answer=DealSerializer)
    def post(self, body: Data, deal_id: UUID) -> DealView:
        """Approve the latest version: exactly that will be posted."""
        services.approve_creative(deal_id=deal_id, **body, actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealCreativeRevisionView(DealApiView):
    """The advertiser wants another version."""

    @command(body=RevisionSerializer, answer=DealSerializer)
    def post(self, body: Data, deal_id: UUID) -> DealView:
        """Ask for a revision."""
        services.request_revision(deal_id=deal_id, note=body["note"], actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealPublishView(DealApiView):
    """The owner's side has the ad posted now."""

    @command(answer=DealSerializer)
    def post(self, deal_id: UUID) -> DealView:
        """Have the bot post the approved ad now."""
        services.schedule_post(deal_id=deal_id, actor=self.actor, at=self.at)
        return self.deal(deal_id)


class DealScheduleView(DealApiView):
    """The owner's side has the ad posted later."""

    @command(body=ScheduleSerializer, answer=DealSerializer)
    def post(self, body: Data, deal_id: UUID) -> DealView:
        """Have the bot post the approved ad at a time."""
        services.schedule_post(
            deal_id=deal_id, publish_at=body["publish_at"], actor=self.actor, at=self.at
        )
        return self.deal(deal_id)
