"""What deals look like on the wire."""

from __future__ import annotations

import segno
from django.core.validators import URLValidator
from rest_framework import serializers

from advertmarket.api.fields import CamelSerializer, NanoField
from advertmarket.money import NANO_PER_TON
from advertmarket.telegram.content import Button, Media
from channels.selectors import Format
from deals.delivery.draft import MAX_TEXT, Draft
from deals.lifecycle import Action, Status
from deals.models import Creative, Side, Tone
from payments.selectors import DepositInstructions

MAX_MARKED_UP_TEXT = 4 * MAX_TEXT
"""A text before its tags are read; Telegram counts what remains."""

WHO = ("advertiser", "owner", "operator", "system")
"""What `permissions.kind_of` says that somebody was to a deal."""

_WEB = URLValidator(schemes=["http", "https"])


class BriefSerializer(CamelSerializer):
    """What the advertiser asks for. Links must be in the ad, forbidden words must not."""

    text = serializers.CharField(max_length=2000)
    audience = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    tone = serializers.ChoiceField(
        choices=Tone.choices, required=False, allow_blank=True, default=""
    )
    links = serializers.ListField(
        child=serializers.CharField(max_length=2000, validators=[_WEB]),
        max_length=5,
        required=False,
        default=list,
    )
    media = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=10, required=False, default=list
    )
    forbidden_words = serializers.ListField(
        child=serializers.CharField(max_length=64), max_length=20, required=False, default=list
    )
    notes = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class NewDealSerializer(CamelSerializer):
    """An offer, before it is sent."""

    channel_id = serializers.IntegerField(min_value=-(2**63), max_value=-1)
    format = serializers.ChoiceField(
        choices=Format.choices, required=False, default=Format.STANDARD
    )
    price_nano = NanoField(minimum=NANO_PER_TON)
    brief = BriefSerializer()


class DealSerializer(CamelSerializer):
    """A deal as its reader sees it; `actions` is what they may do now."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    version = serializers.IntegerField()
    advertiser_id = serializers.IntegerField()
    owner_id = serializers.IntegerField()
    channel_id = serializers.IntegerField()
    channel_title = serializers.CharField()
    format = serializers.ChoiceField(choices=Format.choices)
    price_nano = NanoField()
    commission_rate_bp = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    deadline_at = serializers.DateTimeField(allow_null=True)
    publish_at = serializers.DateTimeField(allow_null=True)
    published_at = serializers.DateTimeField(allow_null=True)
    retention_ends_at = serializers.DateTimeField(allow_null=True)
    hold_reason = serializers.CharField(allow_blank=True)
    cancel_asked_by = serializers.ChoiceField(choices=Side.choices, allow_blank=True)
    actions = serializers.ListField(child=serializers.ChoiceField(choices=Action.choices))
    brief = BriefSerializer()


class DealFilterSerializer(CamelSerializer):
    """Which deals to list."""

    status = serializers.ChoiceField(choices=Status.choices, required=False)
    side = serializers.ChoiceField(choices=Side.choices, required=False)


class ReasonSerializer(CamelSerializer):
    """Why, for the other side to read."""

    reason = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class SeenVersionSerializer(CamelSerializer):
    """The deal's version as the caller saw it: if it has moved on since, nothing is done."""

    version = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class RevisionSerializer(CamelSerializer):
    """What should be different."""

    note = serializers.CharField(max_length=1000)


class ScheduleSerializer(CamelSerializer):
    """When the bot shall post, up to 30 days ahead."""

    publish_at = serializers.DateTimeField()


class TimelineEntrySerializer(CamelSerializer):
    """A line of the deal's history; HOLD is no transition, the deal waits for an operator."""

    version = serializers.IntegerField()
    action = serializers.CharField()
    from_status = serializers.CharField()
    to_status = serializers.CharField()
    actor = serializers.ChoiceField(choices=WHO)
    reason = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class DepositSerializer(CamelSerializer):
    """How to pay: send the amount to the address; `qr` is the link as an SVG data URI."""

    address = serializers.CharField()
    amount_nano = NanoField(source="price_nano")
    received_nano = NanoField()
    missing_nano = NanoField()
    state = serializers.CharField()
    deadline_at = serializers.DateTimeField()
    link = serializers.CharField()
    qr = serializers.SerializerMethodField("draw")

    def draw(self, instructions: DepositInstructions) -> str:
        """Return the QR code of the link."""
        return str(segno.make(instructions.link, error="m").svg_data_uri(scale=4))


class PayoutSerializer(CamelSerializer):
    """The owner's payout and what it waits for."""

    state = serializers.CharField()
    amount_nano = NanoField()
    waiting_for = serializers.CharField(source="waits_for.value", allow_blank=True)
    tx_hash = serializers.CharField(allow_blank=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)


class EscrowSerializer(CamelSerializer):
    """Where the deal's money is; `balances` are the deal's accounts in the books."""

    state = serializers.CharField(source="escrow.state")
    price_nano = NanoField(source="escrow.price_nano")
    funded_nano = NanoField(source="escrow.funded_nano", allow_null=True)
    funded_at = serializers.DateTimeField(source="escrow.funded_at", allow_null=True)
    balances = serializers.DictField(child=NanoField(), source="escrow.balances")
    payout = PayoutSerializer(allow_null=True)


class MediaSerializer(CamelSerializer):
    """A file that Telegram holds and the bot may send."""

    kind = serializers.ChoiceField(choices=["PHOTO", "VIDEO", "GIF", "DOCUMENT"])
    file_id = serializers.CharField(max_length=200)


class ButtonSerializer(CamelSerializer):
    """A button that opens an address."""

    label = serializers.CharField(max_length=64)  # type: ignore[assignment]  # a field, not the label
    url = serializers.CharField(max_length=2000, validators=[_WEB])


class DraftSerializer(CamelSerializer):
    """A version of the ad. An album's buttons follow in a message of `buttonsText`."""

    text = serializers.CharField(
        max_length=MAX_MARKED_UP_TEXT, required=False, allow_blank=True, default=""
    )
    parse_mode = serializers.ChoiceField(
        choices=["HTML", "MarkdownV2"], required=False, allow_null=True, default=None
    )
    media = MediaSerializer(many=True, required=False, default=list)
    buttons = ButtonSerializer(many=True, required=False, default=list)
    buttons_text = serializers.CharField(
        max_length=MAX_MARKED_UP_TEXT, required=False, allow_blank=True, default=""
    )
    link_preview = serializers.BooleanField(required=False, default=True)

    @staticmethod
    def draft(body: dict[str, object]) -> Draft:
        """Return the draft of a validated body."""
        media = [Media(**item) for item in body["media"]]  # type: ignore[attr-defined]  # validated
        buttons = [Button(**item) for item in body["buttons"]]  # type: ignore[attr-defined]
        rest = {name: value for name, value in body.items() if name not in {"media", "buttons"}}
        return Draft(media=tuple(media), buttons=tuple(buttons), **rest)  # type: ignore[arg-type]


class CreativeSerializer(CamelSerializer):
    """A version of the ad, and what the advertiser said of it."""

    version = serializers.IntegerField()
    text = serializers.CharField()
    parse_mode = serializers.CharField(allow_blank=True)
    media = serializers.SerializerMethodField("show_media")
    buttons = serializers.SerializerMethodField("show_buttons")
    buttons_text = serializers.CharField(allow_blank=True)
    link_preview = serializers.BooleanField()
    submitted_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    revision_note = serializers.CharField(allow_blank=True)

    def show_media(self, creative: Creative) -> list[dict[str, str]]:
        """Return the media as they were submitted."""
        return [{"kind": kind, "fileId": file_id} for kind, file_id in creative.media]

    def show_buttons(self, creative: Creative) -> list[dict[str, str]]:
        """Return the buttons as they were submitted."""
        return [{"label": label, "url": url} for label, url in creative.buttons]
