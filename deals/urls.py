"""The doors of deals."""

from __future__ import annotations

from django.urls import path

from .api import disputes, views

_DEAL = "deals/<uuid:deal_id>"

urlpatterns = [
    path("deals", views.DealsView.as_view()),
    path(_DEAL, views.DealDetailView.as_view()),
    path(f"{_DEAL}/brief", views.DealBriefView.as_view()),
    path(f"{_DEAL}/submit", views.DealSubmitView.as_view()),
    path(f"{_DEAL}/accept", views.DealAcceptView.as_view()),
    path(f"{_DEAL}/reject", views.DealRejectView.as_view()),
    path(f"{_DEAL}/cancel", views.DealCancelView.as_view()),
    path(f"{_DEAL}/timeline", views.DealTimelineView.as_view()),
    path(f"{_DEAL}/refund-address", views.DealRefundAddressView.as_view()),
    path(f"{_DEAL}/deposit", views.DealDepositView.as_view()),
    path(f"{_DEAL}/escrow", views.DealEscrowView.as_view()),
    path(f"{_DEAL}/creative", views.DealCreativeView.as_view()),
    path(f"{_DEAL}/creative/history", views.DealCreativeHistoryView.as_view()),
    path(f"{_DEAL}/creative/approve", views.DealCreativeApproveView.as_view()),
    path(f"{_DEAL}/creative/revision", views.DealCreativeRevisionView.as_view()),
    path(f"{_DEAL}/dispute", disputes.DealDisputeView.as_view()),
    path(f"{_DEAL}/dispute/evidence", disputes.DealDisputeEvidenceView.as_view()),
    path(f"{_DEAL}/publish", views.DealPublishView.as_view()),
    path(f"{_DEAL}/schedule", views.DealScheduleView.as_view()),
]
