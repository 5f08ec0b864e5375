"""Channels: registering one with proof, looking at them, prices."""

from __future__ import annotations

from django.utils import timezone
from rest_framework import serializers

from advertmarket.api import limits
from advertmarket.api.fields import CamelSerializer, NanoField
from advertmarket.api.paging import KeysetPage, PageRequest
from advertmarket.api.views import ApiView, Data, command, query
from advertmarket.money import NANO_PER_TON

from . import selectors, services
from .ownership import OwnershipProof, prove
from .selectors import ChannelView, Format


class PricingSerializer(CamelSerializer):
    """What an ad of one format costs."""

    format = serializers.ChoiceField(choices=Format.choices)
    price_nano = NanoField(minimum=NANO_PER_TON)


class ChannelSerializer(CamelSerializer):
    """A registered channel."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    username = serializers.CharField()
    description = serializers.CharField()
    topic = serializers.CharField()
    language = serializers.CharField()
    subscribers = serializers.IntegerField()
    pricing = PricingSerializer(many=True)
    created_at = serializers.DateTimeField()


class PriceSerializer(CamelSerializer):
    """What an ad costs."""

    price_nano = NanoField(minimum=NANO_PER_TON)


class ListingSerializer(CamelSerializer):
    """Where a channel's listing belongs."""

    topic = serializers.CharField(max_length=64, allow_blank=True)
    language = serializers.CharField(max_length=8, allow_blank=True)


class NewChannelSerializer(CamelSerializer):
    """The channel's "@name" or its numeric id, and where its listing belongs."""

    chat = serializers.RegexField(r"\A(@[A-Za-z][A-Za-z0-9_]{3,31}|-[0-9]{1,18})\Z")
    topic = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")
    language = serializers.CharField(max_length=8, required=False, allow_blank=True, default="")


class ChannelsView(ApiView):
    """All channels."""

    read_limit, write_limit = limits.CHANNEL_SEARCH, limits.DEALS_WRITE

    def ask_telegram(self, body: Data) -> tuple[OwnershipProof, Data]:
        """Prove that the caller answers for the channel."""
        chat = str(body["chat"])
        channel = chat if chat.startswith("@") else int(chat)
        return prove(channel, user_id=self.caller_id, at=timezone.now()), body

    @query(answer=ChannelSerializer, paged=True)
    def get(self, page: PageRequest) -> KeysetPage[ChannelView]:
        """Return channels, newest first."""
        return selectors.list_channels(page=page)

    @command(body=NewChannelSerializer, answer=ChannelSerializer, status=201, prepare=ask_telegram)
    def post(self, proven: tuple[OwnershipProof, Data]) -> ChannelView:
        """Register a channel that the caller may post to, as Telegram says, and so may the bot."""
        proof, body = proven
        channel_id = services.register_channel(
            proof=proof,
            topic=body["topic"],
            language=body["language"],
            actor=self.actor,
            at=self.at,
        )
        return selectors.get_listed(channel_id)


class ChannelDetailView(ApiView):
    """One channel."""

    read_limit, write_limit = limits.CHANNEL_SEARCH, limits.DEALS_WRITE

    @query(answer=ChannelSerializer)
    def get(self, channel_id: int) -> ChannelView:
        """Return the channel."""
        return selectors.get_listed(channel_id)

    @command(body=ListingSerializer, answer=ChannelSerializer)
    def put(self, body: Data, channel_id: int) -> ChannelView:
        """Change the topic and the language of the listing; Telegram tells the rest."""
        services.update_listing(channel_id=channel_id, **body, actor=self.actor, at=self.at)
        return selectors.get_listed(channel_id)

    @command()
    def delete(self, channel_id: int) -> None:
        """Take the channel off the list; deals under way go on."""
        services.remove_channel(channel_id=channel_id, actor=self.actor, at=self.at)


class ChannelPricingView(ApiView):
    """What a channel asks for ads."""

    read_limit, write_limit = limits.CHANNEL_SEARCH, limits.DEALS_WRITE

    @query(answer=ChannelSerializer)
    def get(self, channel_id: int) -> ChannelView:
        """Return the channel with its prices."""
        return selectors.get_listed(channel_id)

    @command(body=PricingSerializer, answer=ChannelSerializer, status=201)
    def post(self, body: Data, channel_id: int) -> ChannelView:
        """Set the price of a format."""
        services.set_price(
            channel_id=channel_id,
            format=body["format"],
            price_nano=body["price_nano"],
            actor=self.actor,
            at=self.at,
        )
        return selectors.get_listed(channel_id)


class ChannelPriceView(ApiView):
    """What a channel asks for ads of one format."""

    write_limit = limits.DEALS_WRITE

    @command(body=PriceSerializer, answer=ChannelSerializer)
    def put(self, body: Data, channel_id: int, ad_format: str) -> ChannelView:
        """Set the price of the format."""
        services.set_price(
            channel_id=channel_id,
            format=ad_format,
            price_nano=body["price_nano"],
            actor=self.actor,
            at=self.at,
        )
        return selectors.get_listed(channel_id)

    @command()
    def delete(self, channel_id: int, ad_format: str) -> None:
        """Offer the format no more."""
        services.withdraw_price(
            channel_id=channel_id, format=ad_format, actor=self.actor, at=self.at
        )
