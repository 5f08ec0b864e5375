"""Channels and their prices, read only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from advertmarket.admin import ReadOnlyAdmin, ReadOnlyInline, ton

from .models import Channel, PricingRule


class PricingRuleInline(ReadOnlyInline[PricingRule, Channel]):
    model = PricingRule
    fields = readonly_fields = ("format", "price", "is_active", "created_at")
    price = ton("price_nano", _("price, TON"))


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin[Channel]):
    list_display = ("title", "username", "id", "owner", "subscribers", "proved_at", "created_at")
    list_filter = ("topic", "language")
    search_fields = ("=id", "title", "username", "=owner__id")
    ordering = ("-created_at",)
    inlines = (PricingRuleInline,)
