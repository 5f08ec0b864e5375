"""Sign in and out, and one's own profile."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from advertmarket.api import limits
from advertmarket.api.fields import CamelSerializer
from advertmarket.api.views import ApiView, Data, command, query
from advertmarket.ton_address import friendly_address

from . import selectors, services
from .init_data import MAX_LENGTH
from .selectors import PayoutAddressView, Profile
from .services import Login


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's
    """How the schema tells of the bearer token."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, object]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class LoginBodySerializer(CamelSerializer):
    """What the Mini App got from Telegram, as it got it."""

    init_data = serializers.CharField(max_length=MAX_LENGTH, trim_whitespace=False)


class UserSerializer(CamelSerializer):
    """A Telegram user."""

    id = serializers.IntegerField()
    first_name = serializers.CharField()
    username = serializers.CharField()
    language = serializers.ChoiceField(choices=settings.LANGUAGES)


class LoginSerializer(CamelSerializer):
    """A session: send the token as `Authorization: Bearer`; it lives `expiresIn` seconds more."""

    token = serializers.CharField()
    expires_in = serializers.IntegerField(source="expires_in_s")
    user = UserSerializer()


class PayoutAddressBodySerializer(CamelSerializer):
    """A TON address, and the comment that its exchange wants with each transfer."""

    address = serializers.CharField(max_length=100)
    comment = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")


class PayoutAddressSerializer(CamelSerializer):
    """The payout address; payouts wait until `effectiveAt`."""

    address = serializers.SerializerMethodField("friendly")
    comment = serializers.CharField()
    effective_at = serializers.DateTimeField()

    def friendly(self, view: PayoutAddressView) -> str:
        """Return the address in the form that wallets show."""
        return friendly_address(view.address, network=settings.TON_NETWORK)


class ProfileSerializer(UserSerializer):
    """One's own profile."""

    payout_address = PayoutAddressSerializer(allow_null=True)


class LanguageBodySerializer(CamelSerializer):
    """What a user may change of the profile."""

    language = serializers.ChoiceField(choices=settings.LANGUAGES)


class LoginView(ApiView):
    """Sign in with Telegram's launch data."""

    authentication_classes = []
    permission_classes = []
    write_limit = limits.AUTH

    @command(body=LoginBodySerializer, answer=LoginSerializer, idempotent=False)
    def post(self, body: Data) -> Login:
        """Return the session of this launch: the same launch data gives the same session."""
        return services.log_in(init_data=body["init_data"], at=self.at)


class LogoutView(ApiView):
    """Sign out."""

    @command(idempotent=False)
    def post(self) -> None:
        """Revoke the session for good."""
        services.log_out(token=str(self.request.auth), at=self.at)


class ProfileView(ApiView):
    """One's own profile."""

    @query(answer=ProfileSerializer)
    def get(self) -> Profile:
        """Return the profile."""
        return selectors.get_profile(self.caller_id)

    @command(body=LanguageBodySerializer, answer=ProfileSerializer)
    def patch(self, body: Data) -> Profile:
        """Change the language."""
        services.set_language(user_id=self.caller_id, language=body["language"], at=self.at)
        return selectors.get_profile(self.caller_id)


class ProfilePayoutAddressView(ApiView):
    """Where one's payouts go."""

    @command(body=PayoutAddressBodySerializer, answer=PayoutAddressSerializer)
    def put(self, body: Data) -> PayoutAddressView | None:
        """Set the payout address: the first counts at once, a changed one after a day."""
        services.set_payout_address(user_id=self.caller_id, **body, actor=self.actor, at=self.at)
        return selectors.payout_address(self.caller_id)
