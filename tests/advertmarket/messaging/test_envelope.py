"""Events in bytes, and the signature over them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from advertmarket.messaging import events
from advertmarket.messaging.envelope import (
    SENDER,
    SIGNATURE,
    SIGNED_AT,
    Envelope,
    Forged,
    Headers,
    Unreadable,
    sign,
    verify,
)
from advertmarket.messaging.events import Event
from advertmarket.messaging.topics import DEAL_EVENTS, TOPICS
from tests.advertmarket.messaging.app import Noted

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
DEAL_ID = uuid.UUID(int=7)
BODY = b'{"event":"body"}'

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(st.characters(codec="utf-8")),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), values, max_size=3)
    ),
    max_leaves=8,
)
envelopes = st.builds(
    Envelope,
    event_id=st.uuids(),
    event_type=st.text(st.characters(codec="utf-8"), min_size=1),
    deal_id=st.uuids(),
    timestamp=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    version=st.integers(1, 32_767),
    correlation_id=st.uuids(),
    payload=st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=4),
)


def envelope(payload: dict[str, object], event_type: str = Noted.TYPE) -> Envelope:
    return Envelope.model_validate(
        {
            "event_id": uuid.UUID(int=1),
            "event_type": event_type,
            "deal_id": DEAL_ID,
            "timestamp": AT,
            "version": 1,
            "correlation_id": uuid.UUID(int=2),
            "payload": payload,
        }
    )


def signed() -> Headers:
    return sign(BODY, topic="deal.events", sender="worker@host", at=AT)


@given(envelopes)
def test_an_envelope_survives_the_journey(sent: Envelope) -> None:
    assert Envelope.from_body(sent.to_body()) == sent


@given(st.integers(-(2**63), 2**63 - 1), st.uuids())
def test_an_event_survives_the_journey(number: int, deal_id: uuid.UUID) -> None:
    sent = Noted(deal_id=deal_id, number=number)
    payload = sent.model_dump(mode="json", exclude={"deal_id"})
    body = envelope(payload).model_copy(update={"deal_id": deal_id}).to_body()

    assert Envelope.from_body(body).event() == sent


def test_unknown_fields_are_accepted() -> None:
    body = envelope({"number": 3, "colour": "red"}).to_body()
    newer = body.replace(b'"version":1', b'"version":2,"region":"north"')
    assert newer != body

    assert Envelope.from_body(newer).event() == Noted(deal_id=DEAL_ID, number=3)


def test_an_unknown_type_is_no_error() -> None:
    assert envelope({}, event_type="FROM_THE_FUTURE").event() is None


def test_a_payload_that_does_not_fit_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="number"):
        envelope({"number": "three"}).event()


@given(st.binary())
def test_bytes_that_are_no_envelope_are_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        Envelope.from_body(body)


def test_a_signature_verifies() -> None:
    verify(BODY, signed(), topic="deal.events")


@given(st.integers(0, len(BODY) * 8 - 1))
def test_any_altered_bit_is_noticed(bit: int) -> None:
    altered = bytearray(BODY)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Forged):
        verify(bytes(altered), signed(), topic="deal.events")


@pytest.mark.parametrize("name", [SENDER, SIGNED_AT, SIGNATURE])
@pytest.mark.parametrize("value", [b"other", b"\xff", None])
def test_altered_headers_are_noticed(name: str, value: bytes | None) -> None:
    with pytest.raises(Forged):
        verify(BODY, [*signed(), (name, value)], topic="deal.events")


@pytest.mark.parametrize("name", [SENDER, SIGNED_AT, SIGNATURE])
def test_missing_headers_are_noticed(name: str) -> None:
    with pytest.raises(Forged):
        verify(BODY, [header for header in signed() if header[0] != name], topic="deal.events")


def test_a_record_moved_to_another_topic_is_noticed() -> None:
    with pytest.raises(Forged):
        verify(BODY, signed(), topic="escrow.commands")


def test_a_key_may_be_replaced(settings: Settings) -> None:
    headers = signed()
    settings.OLD_EVENT_SIGNING_KEYS = [settings.EVENT_SIGNING_KEY]
    settings.EVENT_SIGNING_KEY = b"the new key, which has 32 bytes!"
    verify(BODY, headers, topic="deal.events")
    assert signed() != headers


def test_a_key_that_is_gone_opens_nothing(settings: Settings) -> None:
    headers = signed()
    settings.EVENT_SIGNING_KEY = b"the new key, which has 32 bytes!"
    with pytest.raises(Forged):
        verify(BODY, headers, topic="deal.events")


def test_a_process_without_a_key_verifies_nothing(settings: Settings) -> None:
    headers = signed()
    settings.EVENT_SIGNING_KEY = b""
    with pytest.raises(RuntimeError):
        verify(BODY, headers, topic="deal.events")


def test_an_event_class_must_be_complete() -> None:
    with pytest.raises(TypeError, match="lacks TYPE, TOPIC"):
        events.event(type("Nameless", (Event,), {"__module__": __name__}))


def test_a_type_is_registered_once() -> None:
    class Again(Event):
        TYPE = Noted.TYPE
        TOPIC = DEAL_EVENTS

    with pytest.raises(TypeError, match="already"):
        events.event(Again)
    assert events.find(Noted.TYPE) is Noted


def test_every_event_goes_to_a_topic_that_create_topics_makes() -> None:
    ours = [cls for cls in events.registered() if not cls.__module__.startswith("tests.")]
    assert [cls.TYPE for cls in ours if cls.TOPIC not in TOPICS] == []
