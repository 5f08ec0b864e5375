"""Sign in and out, and one's own profile."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from advertmarket.api import limits
from advertmarket.api.addresses import AddressBodySerializer, AddressSerializer
from advertmarket.api.fields import CamelSerializer
from advertmarket.api.views import ApiView, Data, command, query

from . import proofs, selectors, services
from .init_data import MAX_LENGTH
from .proofs import Challenge
from .selectors import GivenAddressView, Profile
from .services import Login
from .ton_proof import TonProof

MAX_STATE_INIT_LENGTH = 10_000
"""In base64; a wallet's has some thousand characters."""


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's
    """How the schema tells of the bearer token."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, object]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class OperatorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's
    """How the schema tells of the back office's session."""

    target_class = "accounts.authentication.OperatorAuthentication"
    name = "operator"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, object]:
        """Return the OpenAPI security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


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


class ChallengeSerializer(CamelSerializer):
    """What to give TON Connect as `tonProof`; it lives `expiresIn` seconds."""

    payload = serializers.CharField()
    expires_in = serializers.IntegerField(source="expires_in_s")


class ProofDomainSerializer(CamelSerializer):
    """The app that the wallet signed for."""

    length_bytes = serializers.IntegerField(min_value=0, max_value=128)
    value = serializers.CharField(max_length=128, trim_whitespace=False)


class TonProofSerializer(serializers.Serializer[Any]):
    """TON Connect's `ton_proof`, with the `walletStateInit` of its account as `state_init`."""

    timestamp = serializers.IntegerField(min_value=0, max_value=2**63 - 1)
    domain = ProofDomainSerializer()
    signature = serializers.CharField(max_length=100)
    payload = serializers.CharField(max_length=128, trim_whitespace=False)
    state_init = serializers.CharField(max_length=MAX_STATE_INIT_LENGTH)


class TonProofBodySerializer(serializers.Serializer[Any]):
    """A wallet's account and its proof, in the names that TON Connect's examples use."""

    address = serializers.CharField(max_length=100)
    network = serializers.CharField(max_length=20)
    public_key = serializers.CharField(max_length=100)
    proof = TonProofSerializer()


class ProfileSerializer(UserSerializer):
    """One's own profile."""

    payout_address = AddressSerializer(allow_null=True)


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


class TonProofPayloadView(ApiView):
    """Begin to prove an address."""

    write_limit = limits.AUTH

    @command(answer=ChallengeSerializer, idempotent=False)
    def post(self) -> Challenge:
        """Return what a wallet is to sign: for this session, once, within 15 minutes."""
        return proofs.ask_for_proof(token=str(self.request.auth), at=self.at)


class TonProofView(ApiView):
    """Prove an address."""

    write_limit = limits.AUTH

    @command(body=TonProofBodySerializer)
    def post(self, body: Data) -> None:
        """Remember that the caller holds the address, for the next payout or refund address."""
        proof = body["proof"]
        proofs.prove_address(
            token=str(self.request.auth),
            proof=TonProof(
                address=body["address"],
                network=body["network"],
                public_key=body["public_key"],
                timestamp=proof["timestamp"],
                domain=proof["domain"]["value"],
                domain_length=proof["domain"]["length_bytes"],
                payload=proof["payload"],
                signature=proof["signature"],
                state_init=proof["state_init"],
            ),
            actor=self.actor,
            at=self.at,
        )


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

    @command(body=AddressBodySerializer, answer=AddressSerializer)
    def put(self, body: Data) -> GivenAddressView | None:
        """Set the payout address: the first counts at once, a changed one after a day."""
        services.set_payout_address(user_id=self.caller_id, **body, actor=self.actor, at=self.at)
        return selectors.payout_address(self.caller_id)
