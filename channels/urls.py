"""The doors of channels."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from . import api
from .selectors import Format


class ChatId(IntConverter):
    """Telegram's id of a channel, below zero."""

    regex = "-[0-9]{1,18}"


class AdFormat(StringConverter):
    """A format of ads."""

    regex = "|".join(Format.values)


register_converter(ChatId, "chat")
register_converter(AdFormat, "ad_format")

urlpatterns = [
    path("channels", api.ChannelsView.as_view()),
    path("channels/<chat:channel_id>", api.ChannelDetailView.as_view()),
    path("channels/<chat:channel_id>/pricing", api.ChannelPricingView.as_view()),
    path(
        "channels/<chat:channel_id>/pricing/<ad_format:ad_format>", api.ChannelPriceView.as_view()
    ),
]
