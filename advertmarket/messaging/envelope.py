"""What travels: an event in its envelope, as bytes, signed in the headers."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, ValidationError

from . import events
from .events import Event

Headers = list[tuple[str, bytes | None]]

SENDER = "sender"
SIGNED_AT = "signed-at"
SIGNATURE = "signature"
CORRELATION_ID = "correlation-id"


class Rejected(Exception):
    """A record that no handler may see; reading it again would change nothing."""


class Unreadable(Rejected):
    """The bytes are no envelope, or the payload does not fit its event type."""


class Forged(Rejected):
    """The signature is missing or wrong: not written by us, or altered since."""


class Envelope(BaseModel):
    """An event's identity and payload; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: uuid.UUID
    event_type: str
    deal_id: uuid.UUID
    timestamp: AwareDatetime
    version: int
    correlation_id: uuid.UUID
    payload: dict[str, JsonValue]

    def to_body(self) -> bytes:
        """Return the wire form."""
        return self.model_dump_json().encode()

    @classmethod
    def from_body(cls, body: bytes) -> Envelope:
        """Read the wire form.

        Raises:
            Unreadable: the bytes are not an envelope.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise Unreadable(str(error)) from error

    def event(self) -> Event | None:
        """Return the event; None for a type that this release does not know.

        Raises:
            Unreadable: the payload does not fit the type.
        """
        event_class = events.find(self.event_type)
        if event_class is None:
            return None
        try:
            return event_class.model_validate({**self.payload, "deal_id": self.deal_id})
        except ValidationError as error:
            raise Unreadable(str(error)) from error


def sign(body: bytes, *, topic: str, sender: str, at: datetime) -> Headers:
    """Return the headers that prove `body` was written by `sender` to `topic` at `at`."""
    signed_at = at.isoformat()
    signature = _mac(settings.EVENT_SIGNING_KEY, body, topic, sender, signed_at)
    return [
        (SENDER, sender.encode()),
        (SIGNED_AT, signed_at.encode()),
        (SIGNATURE, signature.encode()),
    ]


def verify(body: bytes, headers: Iterable[tuple[str, bytes | None]], *, topic: str) -> None:
    """Check a record's signature against the present key and those it replaced.

    A signature does not age: a record may be read for as long as its topic keeps it.

    Raises:
        Forged: no key of ours made this signature over this body, topic, sender and time.
    """
    values = dict(headers)
    try:
        sender, signed_at, signature = (
            (values[name] or b"").decode() for name in (SENDER, SIGNED_AT, SIGNATURE)
        )
    except (KeyError, UnicodeDecodeError) as error:
        raise Forged(f"the signature's headers are incomplete: {error!r}") from error
    keys = [settings.EVENT_SIGNING_KEY, *settings.OLD_EVENT_SIGNING_KEYS]
    macs = [_mac(key, body, topic, sender, signed_at) for key in keys]
    if not any(hmac.compare_digest(mac.encode(), signature.encode()) for mac in macs):
        raise Forged(f"the signature is wrong; the record says its sender is {sender!r}")


def _mac(key: bytes, body: bytes, *context: str) -> str:
    if not key:
        raise RuntimeError("this process has no EVENT_SIGNING_KEY")
    parts = (*map(str.encode, context), body)
    framed = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return hmac.digest(key, framed, "sha256").hex()
