"""Alerts go out, each recipient's beside the others': a dead chat, hook or server delays nobody."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.utils import translation

from ops.models import Alert, Incident, Severity
from payments.sending import pause

from . import alerts, text
from .alerts import Channel, Outcome, Recipient
from .beside import Beside
from .channels import NotDelivered, hook, mail, telegram
from .kinds import KINDS, RESPONSE

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]


class Sender:
    """Sends what is due; of each recipient one alert at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: Beside[tuple[str, str], None] = Beside()
        self._unrecorded: dict[int, tuple[Alert, Outcome]] = {}

    def send_due(self) -> None:
        """Begin to send every alert that is due, and return without waiting for it."""
        self._record_late()
        for alert in alerts.lease(but=self._lanes.busy(), at=self._clock()):
            lane = (alert.channel, alert.recipient)
            self._lanes.start(lane, functools.partial(self._send, alert))

    def wait(self, *, limit_s: float) -> bool:
        """Wait for what is being sent; return whether all of it has ended."""
        return self._lanes.wait(limit_s=limit_s)

    def _send(self, alert: Alert) -> None:
        try:
            outcome = _attempt(alert, self._clock())
        except NotDelivered as failure:
            outcome = Outcome(
                str(failure) or type(failure).__name__,
                permanent=failure.permanent,
                perhaps_sent=failure.perhaps_sent,
                retry_after=failure.retry_after,
            )
        except alerts.NoLongerThere as reason:
            outcome = Outcome(str(reason), permanent=True)
        except Exception as problem:  # whatever it is, it is tried again, and seen
            logger.exception("alert %s", alert.pk)
            outcome = Outcome(repr(problem), perhaps_sent=True)
        if outcome.error:
            logger.warning("alert %s was not delivered: %s", alert.pk, outcome.error)
        self._unrecorded[alert.pk] = (alert, outcome)
        self._record(alert.pk)

    def _record_late(self) -> None:
        """Record what could not be recorded when it was sent: PostgreSQL was away."""
        for pk in list(self._unrecorded):
            self._record(pk)

    def _record(self, pk: int) -> None:
        alert, outcome = self._unrecorded[pk]
        with transaction.atomic():
            alerts.record(alert, outcome, at=self._clock())
        self._unrecorded.pop(pk, None)


def _attempt(alert: Alert, at: dt.datetime) -> Outcome:
    recipient = alerts.recipient_of(alert)
    alert.incident = Incident.objects.select_related("acknowledged_by").get(pk=alert.incident_id)
    reason = pause.pause_reason()

    def say(language: str) -> text.Wording:
        money = text.payouts_now(reason, language=language)
        return text.say(
            alert, language=language, money=money, perhaps_sent=alert.perhaps_sent, at=at
        )

    wording = say(recipient.language)
    if recipient.channel == Channel.TELEGRAM:
        _in_telegram(alert.incident, recipient, wording)
    elif recipient.channel == Channel.HOOK:
        hook.deliver(_payload(alert, wording, at))
    else:
        message_id = f"<alert-{alert.pk}@advertmarket>"
        mail.deliver(recipient.name, wording.headline, wording.plain, message_id=message_id)
    return Outcome(text=wording.plain)


def _in_telegram(incident: Incident, recipient: Recipient, wording: text.Wording) -> None:
    is_open = incident.resolved_at is None and incident.acknowledged_at is None
    label = text.acknowledge_label(recipient.language)
    telegram.deliver(
        recipient.chat_id,
        wording.html,
        buttons=telegram.acknowledge_button(incident.pk, label) if is_open else (),
        silent=incident.severity == Severity.P3,
    )


def _payload(alert: Alert, wording: text.Wording, at: dt.datetime) -> dict[str, object]:
    """What the hook gets; `id` is the same whenever the same alert comes again."""
    incident = alert.incident
    kind = KINDS[incident.kind]
    with translation.override(settings.ALERT_LANGUAGE):
        return {
            "id": f"alert-{alert.pk}",
            "attempt": alert.attempts,
            "reason": alert.reason,
            "severity": incident.severity,
            "kind": incident.kind,
            "cause": incident.cause,
            "incident": incident.pk,
            "facts": incident.facts,
            "since": incident.since_at.isoformat(),
            "respondWithinMinutes": RESPONSE[Severity(incident.severity)] // _MINUTE,
            "acknowledged": incident.acknowledged_at is not None,
            "gone": incident.gone_at is not None,
            "resolved": incident.resolved_at is not None,
            "runbook": text.runbook_link(kind),
            "title": wording.headline,
            "text": wording.plain,
            "sentAt": at.isoformat(),
        }


_MINUTE = dt.timedelta(minutes=1)
