"""What becomes of one record; without a broker."""

from __future__ import annotations

import base64
import logging
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection

from advertmarket import correlation
from advertmarket.messaging import consumer
from advertmarket.messaging.consumer import Outcome, process
from advertmarket.messaging.envelope import Envelope, sign
from advertmarket.messaging.kafka import Record
from advertmarket.messaging.models import DeadLetter, ProcessedEvent
from tests.advertmarket.messaging import app
from tests.advertmarket.messaging.app import Noted
from tests.advertmarket.messaging.harness import effects

pytestmark = pytest.mark.django_db

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
WRITTEN_AT = datetime(2030, 1, 1, tzinfo=UTC)
DEAL_ID = uuid.UUID(int=7)
TOPIC = "deal.events"


@pytest.fixture(autouse=True)
def _tables(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(app.TABLES)


def body(
    wish: str = "note", number: object = 1, event_type: str = Noted.TYPE, event_id: int = 1
) -> bytes:
    return Envelope.model_validate(
        {
            "event_id": uuid.UUID(int=event_id),
            "event_type": event_type,
            "deal_id": DEAL_ID,
            "timestamp": AT,
            "version": 1,
            "correlation_id": uuid.UUID(int=2),
            "payload": {"number": number, "wish": wish},
        }
    ).to_body()


def record(body: bytes | None, *, offset: int = 5, signed: bytes | None = None) -> Record:
    """A record whose signature is right for `signed`, by default the body."""
    headers = sign(signed or body or b"", topic=TOPIC, sender="worker@host", at=AT)
    return Record(TOPIC, 1, offset, str(DEAL_ID).encode(), body, headers, WRITTEN_AT)


def test_a_handler_applies_an_event(group: str) -> None:
    assert process(record(body()), group=group, at=AT) is Outcome.HANDLED

    assert effects() == [(DEAL_ID, 1)]
    processed = ProcessedEvent.objects.get()
    assert (processed.group, processed.event_id, processed.processed_at) == (
        *(group, uuid.UUID(int=1), AT),
    )


def test_an_event_read_twice_has_one_effect(group: str) -> None:
    process(record(body()), group=group, at=AT)

    assert process(record(body(), offset=6), group=group, at=AT) is Outcome.REPEATED
    assert effects() == [(DEAL_ID, 1)]


def test_two_groups_each_apply_an_event(group: str) -> None:
    app.join(f"{group}-other")
    process(record(body()), group=group, at=AT)

    assert process(record(body()), group=f"{group}-other", at=AT) is Outcome.HANDLED
    assert effects() == [(DEAL_ID, 1), (DEAL_ID, 1)]


@pytest.mark.parametrize("group_handles_it", [True, False])
def test_a_type_without_a_handler_is_skipped(group: str, group_handles_it: bool) -> None:
    event_type = "FROM_THE_FUTURE" if group_handles_it else Noted.TYPE
    reader = group if group_handles_it else "cg-nobody"

    outcome = process(record(body(event_type=event_type)), group=reader, at=AT)

    assert outcome is Outcome.SKIPPED
    assert not ProcessedEvent.objects.exists()
    assert not DeadLetter.objects.exists()


def test_a_refused_event_is_a_dead_letter_without_effect(group: str) -> None:
    refused = record(body("refuse", number=3))

    assert process(refused, group=group, at=AT) is Outcome.DEAD_LETTER

    assert effects() == []
    assert not ProcessedEvent.objects.exists()
    letter = DeadLetter.objects.get()
    assert letter.error == "Refusal: number 3 is refused"
    assert (letter.group, letter.topic, letter.partition, letter.offset) == (group, TOPIC, 1, 5)
    assert (letter.written_at, letter.created_at) == (WRITTEN_AT, AT)
    assert (bytes(letter.key or b""), bytes(letter.body or b"")) == (refused.key, refused.body)
    assert letter.headers == [
        [name, base64.b64encode(value or b"").decode()] for name, value in refused.headers
    ]


def test_a_dead_letter_that_is_read_again_is_kept_once(group: str) -> None:
    process(record(body("refuse")), group=group, at=AT)
    process(record(body("refuse")), group=group, at=AT)
    assert DeadLetter.objects.count() == 1


def test_an_offset_that_is_used_again_is_another_dead_letter(group: str) -> None:
    process(record(body("refuse")), group=group, at=AT)
    rebuilt = record(body("refuse", event_id=2))
    later = Record(**{**vars(rebuilt), "written_at": AT})
    process(later, group=group, at=AT)
    assert DeadLetter.objects.count() == 2


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(record(b"\x00\xff"), id="no JSON"),
        pytest.param(record(body(number="three")), id="payload does not fit"),
        pytest.param(record(None), id="no body"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter(group: str, poison: Record) -> None:
    assert process(poison, group=group, at=AT) is Outcome.DEAD_LETTER

    assert effects() == []
    assert DeadLetter.objects.get().error.startswith("Unreadable: ")


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(record(body(), signed=b"other"), id="tampered"),
        pytest.param(Record(TOPIC, 1, 5, None, body(), [], WRITTEN_AT), id="unsigned"),
    ],
)
def test_a_forged_record_is_a_dead_letter_and_a_security_alert(
    group: str, forged: Record, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL, "advertmarket.security"):
        assert process(forged, group=group, at=AT) is Outcome.DEAD_LETTER

    assert effects() == []
    assert bytes(DeadLetter.objects.get().body or b"") == forged.body
    assert DeadLetter.objects.get().error.startswith("Forged: ")
    (alert,) = [entry for entry in caplog.records if entry.name == "advertmarket.security"]
    assert group in alert.getMessage()


def test_any_other_error_leaves_no_trace(group: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO test_obstacles VALUES (3)")

    with pytest.raises(RuntimeError, match="stumbled over 3"):
        process(record(body("stumble", number=3)), group=group, at=AT)

    assert effects() == []
    assert not ProcessedEvent.objects.exists()
    assert not DeadLetter.objects.exists()


def test_a_handler_works_under_the_events_correlation_id(group: str) -> None:
    seen = []

    def look(event: Noted, *, at: datetime) -> None:
        seen.append(correlation.current())

    consumer.consumes(Noted, group=f"{group}-looks")(look)
    process(record(body()), group=f"{group}-looks", at=AT)
    assert seen == [uuid.UUID(int=2)]


def test_a_group_handles_a_type_once(group: str) -> None:
    with pytest.raises(TypeError, match="already"):
        app.join(group)
