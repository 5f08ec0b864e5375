"""The door that Telegram comes through."""

from __future__ import annotations

from django.urls import path

from .views import webhook

urlpatterns = [path("bot/webhook", webhook, name="telegram-webhook")]
