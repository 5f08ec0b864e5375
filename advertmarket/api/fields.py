"""Serializers in the API's own shape: camelCase names, money as decimal strings of nanoTON."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from advertmarket.money import parse_nano


def camel(name: str) -> str:
    """Return `price_nano` as `priceNano`."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


class CamelSerializer(serializers.Serializer[Any]):
    """A serializer declared in snake_case that speaks camelCase.

    `validated_data` and the objects that it reads have the declared names; the wire, the
    violations and the schema have the camelCase ones. (A `validate_<field>` method would have to be
    named by the wire name: give the field a validator, or write `validate`.)
    """

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the declared fields under their wire names."""
        fields = {}
        for name, field in super().get_fields().items():
            wire_name = camel(name)
            if wire_name != name and field.source is None:
                field.source = name
            fields[wire_name] = field
        return fields


@extend_schema_field(
    {"type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$", "examples": ["50000000000"]}
)
class NanoField(serializers.Field[int, str, str, int]):
    """An amount of nanoTON as a decimal string: JavaScript loses integers above 2^53.

    `minimum` is the smallest amount accepted, in nanoTON.
    """

    default_error_messages = {
        "invalid": _("Not a whole number of nanoTON in a string."),
        "minimum": _("The least is {minimum} nanoTON."),
    }

    def __init__(self, *, minimum: int = 0, **kwargs: Any) -> None:
        self.minimum = minimum
        super().__init__(**kwargs)

    def to_internal_value(self, data: object) -> int:
        """Return the amount, or fail: a JSON number is refused, as is anything not canonical."""
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            amount = parse_nano(data)
        except ValueError:
            self.fail("invalid")
        if amount < self.minimum:
            self.fail("minimum", minimum=self.minimum)
        return amount

    def to_representation(self, value: int) -> str:
        """Return the amount's digits."""
        return str(value)
