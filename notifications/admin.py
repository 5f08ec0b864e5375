"""Who was told what, to look at."""

from __future__ import annotations

from django.contrib import admin

from advertmarket.admin import ReadOnlyAdmin

from .models import Delivery


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    list_display = ["id", "template", "chat_id", "deal_id", "state", "error", "created_at"]
    list_filter = ["message__state", "template"]
    search_fields = ["=chat_id", "=deal_id", "=event_id"]
    list_select_related = ["message"]
    ordering = ["-id"]

    @admin.display(ordering="message__state")
    def state(self, delivery: Delivery) -> str:
        """What became of the message."""
        return delivery.message.state

    @admin.display
    def error(self, delivery: Delivery) -> str:
        """Why it was not sent."""
        return delivery.message.error
