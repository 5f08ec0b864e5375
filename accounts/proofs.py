"""Proving an address: a payload of ours, a wallet's answer to it, and what is remembered of it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError

from . import vault
from .models import ProofPayload
from .selectors import PROVED_ADDRESS
from .services import mask_address
from .tokens import read_token
from .ton_proof import TonProof, verify_ton_proof

PAYLOAD_LIFETIME = timedelta(minutes=15)


class ProofPayloadUnknown(DomainError):
    """The payload is none of ours, another session's, too old, or used up."""

    code: ClassVar[Code] = Code.TON_PROOF_EXPIRED
    message = _("This proof was asked for too long ago, or was used already. Connect again.")


@dataclass(frozen=True)
class Challenge:
    """What the wallet is to sign, and how many seconds that counts."""

    payload: str
    expires_in_s: int


@requires_transaction
def ask_for_proof(*, token: str, at: datetime) -> Challenge:
    """Return a new payload for a wallet to sign: for this session, once, within 15 minutes.

    Raises:
        InvalidToken, TokenExpired: there is no session.
    """
    payload = secrets.token_urlsafe(32)
    ProofPayload.objects.create(
        digest=_digest(payload),
        session_id=read_token(token, at=at).session_id,
        expires_at=at + PAYLOAD_LIFETIME,
    )
    return Challenge(payload, int(PAYLOAD_LIFETIME.total_seconds()))


@requires_transaction
def prove_address(*, token: str, proof: TonProof, actor: Actor, at: datetime) -> None:
    """Remember that the session's user holds the proof's address, in place of an earlier one.

    The payload is used up with that; a proof that is refused leaves it.

    Raises:
        InvalidToken, TokenExpired: there is no session.
        InvalidTonAddress, InvalidTonProof: it proves nothing.
        ProofPayloadUnknown: it answers nothing that this session was asked.
    """
    claims = read_token(token, at=at)
    domain = urlsplit(settings.MINI_APP_URL).netloc
    address = verify_ton_proof(proof, domain=domain, network=settings.TON_NETWORK, at=at)
    _use_up(proof.payload, session_id=claims.session_id, at=at)
    vault.keep(
        user_id=claims.user_id,
        field=PROVED_ADDRESS,
        value={"address": address, "proved_at": at.isoformat()},
        at=at,
    )
    audit.record(
        actor=actor,
        action="prove_address",
        object_type="user",
        object_id=str(claims.user_id),
        before=None,
        after={"address": mask_address(address)},
        at=at,
    )


@requires_transaction
def forget(*, at: datetime) -> int:
    """Delete payloads that count no longer."""
    deleted, _by_model = ProofPayload.objects.filter(expires_at__lte=at).delete()
    return deleted


def _use_up(payload: str, *, session_id: UUID, at: datetime) -> None:
    """Delete the payload in one statement: of two at once, the second waits and finds none."""
    deleted, _by_model = ProofPayload.objects.filter(
        digest=_digest(payload), session_id=session_id, expires_at__gt=at
    ).delete()
    if not deleted:
        raise ProofPayloadUnknown


def _digest(payload: str) -> bytes:
    return hashlib.sha256(payload.encode()).digest()
