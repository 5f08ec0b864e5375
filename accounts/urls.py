"""The doors of accounts."""

from __future__ import annotations

from django.urls import path

from . import api

urlpatterns = [
    path("auth/login", api.LoginView.as_view()),
    path("auth/logout", api.LogoutView.as_view()),
    path("auth/ton-proof/payload", api.TonProofPayloadView.as_view()),
    path("auth/ton-proof", api.TonProofView.as_view()),
    path("profile", api.ProfileView.as_view()),
    path("profile/payout-address", api.ProfilePayoutAddressView.as_view()),
]
