"""What TON addresses that people give look like on the wire."""

from __future__ import annotations

from rest_framework import serializers

from .fields import CamelSerializer


class AddressBodySerializer(CamelSerializer):
    """A TON address, and the comment that its exchange wants with each transfer.

    The address is the one proved last with `auth/ton-proof`, or `typedByHand` says that its user
    knows that nothing proves it.
    """

    address = serializers.CharField(max_length=100)
    comment = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")
    typed_by_hand = serializers.BooleanField(required=False, default=False)


class AddressSerializer(CamelSerializer):
    """An address that somebody gave; it counts from `effectiveAt`. Proved, it has no `warning`."""

    address = serializers.CharField(source="friendly")
    comment = serializers.CharField()
    proved = serializers.BooleanField()
    proved_at = serializers.DateTimeField(allow_null=True)
    warning = serializers.CharField(allow_blank=True)
    effective_at = serializers.DateTimeField()
