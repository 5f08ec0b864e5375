"""The doors of channels."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from . import api


class ChatId(IntConverter):
    """Telegram's id of a channel, below zero."""

    regex = "-[0-9]{1,18}"


register_converter(ChatId, "chat")

urlpatterns = [
    path("channels", api.ChannelsView.as_view()),
    path("channels/<chat:channel_id>", api.ChannelDetailView.as_view()),
    path("channels/<chat:channel_id>/pricing", api.ChannelPricingView.as_view()),
]
