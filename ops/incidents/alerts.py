"""The rows of what people are told: written with an incident's change, leased, and recorded.

After a crash between sending and recording an alert goes out once more, and says so; none is lost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.selectors import OperatorView, get_operator
from advertmarket.db import requires_transaction
from ops.models import Alert, Incident, RotaEntry

from . import rota

Channel = Alert.Channel
Reason = Alert.Reason
State = Alert.State

LEASE = dt.timedelta(seconds=60)
"""Longer than any attempt takes."""

FIRST_DELAY, LONGEST_DELAY = dt.timedelta(seconds=5), dt.timedelta(minutes=5)
LONGEST_DELAY_IF_GRAVE = dt.timedelta(minutes=1)
"""Whatever a channel asks for: as long as one alert waits, no repetition of it is written."""

GIVE_UP_AFTER = dt.timedelta(hours=24)

_OPERATOR = "operator:"
_HOOK = "hook"


class NoLongerThere(Exception):
    """An alert's recipient is no operator any more, or not linked to Telegram."""


@dataclass(frozen=True)
class Recipient:
    """Whom or what a channel reaches, as alerts name it; `chat_id` in Telegram, else 0."""

    channel: Channel
    name: str
    language: str
    chat_id: int = 0


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: without an error it was sent.

    `permanent`: another attempt would end alike. `perhaps_sent`: nobody knows whether it arrived.
    `retry_after`: when to try again, if the channel said.
    """

    error: str = ""
    text: str = ""
    permanent: bool = False
    perhaps_sent: bool = False
    retry_after: dt.timedelta | None = None


def recipients(*, level: int) -> list[Recipient]:
    """Return all who are told of an incident that was escalated so often."""
    found = [one for person in rota.people(level=level) for one in recipients_of(person)]
    return found + shared_recipients()


def recipients_of(person: rota.Person) -> list[Recipient]:
    """Return by what a person can be told; nothing, if there is no channel to them."""
    found, operator = [], person.operator
    if operator.telegram_id is not None:
        found.append(_in_telegram(operator, operator.telegram_id))
    if person.email and settings.ALERT_SMTP_HOST:
        found.append(Recipient(Channel.EMAIL, person.email, operator.language))
    return found


def shared_recipients() -> list[Recipient]:
    """Return those whom the settings name: they are told of everything."""
    language = settings.ALERT_LANGUAGE
    hook = [Recipient(Channel.HOOK, _HOOK, language)] if settings.ALERT_HOOK_URL else []
    mails = settings.ALERT_EMAIL_TO if settings.ALERT_SMTP_HOST else []
    return hook + [Recipient(Channel.EMAIL, address, language) for address in mails]


def recipient_of(alert: Alert) -> Recipient:
    """Return whom an alert goes to, as they are now.

    Raises:
        NoLongerThere: it cannot be sent to anybody.
    """
    if alert.channel == Channel.TELEGRAM:
        operator = get_operator(int(alert.recipient.removeprefix(_OPERATOR)))
        if operator is None or operator.telegram_id is None:
            raise NoLongerThere(f"{alert.recipient} is not active, or not linked to Telegram")
        return _in_telegram(operator, operator.telegram_id)
    language = settings.ALERT_LANGUAGE
    if entry := RotaEntry.objects.filter(email=alert.recipient).first():
        operator = get_operator(entry.operator_id)
        language = operator.language if operator else language
    return Recipient(Channel(alert.channel), alert.recipient, language)


def is_unreachable(person: rota.Person, incident: Incident) -> bool:
    """Return whether a person has no channel on which the last alert was not given up."""
    last = {
        (alert.channel, alert.recipient): alert.state for alert in incident.alerts.order_by("pk")
    }
    ways = [(one.channel, one.name) for one in recipients_of(person)]
    return all(last.get(way) == State.FAILED for way in ways)


@requires_transaction
def write(incident: Incident, reason: Reason, *, number: int, at: dt.datetime) -> None:
    """Have everybody of the incident's level told; what was written before is not written again.

    A repetition is left out for whom an earlier alert of this incident still waits: that says it.
    """
    waiting = set(
        incident.alerts.filter(state=State.PENDING).values_list("channel", "recipient")
        if reason == Reason.REPEATED
        else ()
    )
    Alert.objects.bulk_create(
        [
            Alert(
                incident=incident,
                channel=one.channel,
                recipient=one.name,
                reason=reason,
                number=number,
                due_at=at,
                created_at=at,
            )
            for one in recipients(level=incident.level)
            if (one.channel, one.name) not in waiting
        ],
        ignore_conflicts=True,
    )


def lease(*, but: Collection[tuple[str, str]], at: dt.datetime) -> list[Alert]:
    """Take the gravest due alert of each recipient that is not busy, as (channel, recipient).

    Its `perhaps_sent` says whether an earlier attempt may have arrived; the row says yes meanwhile.
    """
    with transaction.atomic():
        due = (
            Alert.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
            .select_related("incident")
            .filter(state=State.PENDING, due_at__lte=at)
            .order_by("incident__severity", "pk")
        )
        taken: dict[tuple[str, str], Alert] = {}
        for alert in due:
            lane = (alert.channel, alert.recipient)
            if lane not in but:
                taken.setdefault(lane, alert)
        for alert in taken.values():
            alert.attempts += 1
            Alert.objects.filter(pk=alert.pk).update(
                attempts=alert.attempts, due_at=at + LEASE, perhaps_sent=True
            )
    return list(taken.values())


@requires_transaction
def record(leased: Alert, outcome: Outcome, *, at: dt.datetime) -> None:
    """Write down how an attempt ended, unless somebody else holds the row by now.

    One that was sent shows that its channel works: what waits there is due at once.
    """
    alert = (
        Alert.objects.select_for_update(no_key=True)
        .filter(pk=leased.pk, state=State.PENDING, attempts=leased.attempts)
        .first()
    )
    if alert is None:
        return
    alert.error = outcome.error
    if not outcome.error:
        alert.state, alert.sent_at, alert.text = State.SENT, at, outcome.text
        _unsent(alert).update(due_at=at)
    elif outcome.permanent or at - alert.created_at > GIVE_UP_AFTER:
        alert.state = State.FAILED
    else:
        alert.due_at = at + _wait(alert, outcome)
    alert.perhaps_sent = outcome.perhaps_sent or (leased.perhaps_sent and bool(outcome.error))
    alert.save()


def _unsent(alert: Alert) -> QuerySet[Alert]:
    """What waits for another attempt at the same recipient, and is in nobody's hands."""
    return Alert.objects.filter(
        channel=alert.channel, recipient=alert.recipient, state=State.PENDING, perhaps_sent=False
    )


def _wait(alert: Alert, outcome: Outcome) -> dt.timedelta:
    if outcome.retry_after is None:
        return _delay(alert.attempts)
    longest = LONGEST_DELAY_IF_GRAVE if alert.incident.is_grave else LONGEST_DELAY
    return min(outcome.retry_after, longest)


def _delay(attempts: int) -> dt.timedelta:
    return min(FIRST_DELAY * (1 << min(attempts - 1, 10)), LONGEST_DELAY)


def _in_telegram(operator: OperatorView, chat_id: int) -> Recipient:
    return Recipient(Channel.TELEGRAM, f"{_OPERATOR}{operator.id}", operator.language, chat_id)
