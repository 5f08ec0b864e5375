"""The doors of payments."""

from __future__ import annotations

from django.urls import path

from . import api, operator_api

_DEPOSITS = "admin/deposits/<uuid:deal_id>"
_TRANSFER = "admin/tx/<uuid:settlement_id>"
_REQUEST = "admin/requests/<uuid:request_id>"

urlpatterns = [
    path("wallet/summary", api.WalletSummaryView.as_view()),
    path("wallet/transactions", api.WalletTransactionsView.as_view()),
    path("wallet/transactions/<uuid:settlement_id>", api.WalletTransactionDetailView.as_view()),
    path("wallet/withdraw", api.WalletWithdrawView.as_view()),
    path(f"{_DEPOSITS}/approve", operator_api.AdminDepositApproveView.as_view()),
    path(f"{_DEPOSITS}/reject", operator_api.AdminDepositRejectView.as_view()),
    path(f"{_TRANSFER}/retry", operator_api.AdminTransferRetryView.as_view()),
    path(f"{_TRANSFER}/confirm", operator_api.AdminTransferConfirmView.as_view()),
    path(f"{_TRANSFER}/hold", operator_api.AdminTransferHoldView.as_view()),
    path("admin/commission/tiers", operator_api.AdminCommissionTiersView.as_view()),
    path("admin/pause", operator_api.AdminPauseView.as_view()),
    path("admin/pause/resume", operator_api.AdminResumeView.as_view()),
    path("admin/requests", operator_api.AdminRequestsView.as_view()),
    path(f"{_REQUEST}/approve", operator_api.AdminRequestApproveView.as_view()),
    path(f"{_REQUEST}/reject", operator_api.AdminRequestRejectView.as_view()),
]
