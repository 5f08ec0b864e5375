"""Alerts go out, each recipient's beside the others': a dead chat, hook or server delays nobody."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable

from django.db import transaction
from django.utils import translation

from advertmarket.db import release_connection
from ops.beside import Beside
from ops.models import Alert, Incident, Severity
from payments.sending import pause

from . import alerts, text
from .alerts import Channel, Outcome, Reason, Recipient
from .causes import fit_to_show
from .changes import failures_of
from .channels import NotDelivered, hook, mail, telegram
from .kinds import kind_named

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
        outcome = _attempt(alert, self._clock())
        if outcome.error:
            logger.warning("alert %s was not delivered: %s", alert.pk, outcome.error)
        self._unrecorded[alert.pk] = (alert, outcome)
        self._record(alert, outcome)

    def _record_late(self) -> None:
        """Record what could not be recorded when it was sent: PostgreSQL was away."""
        for alert, outcome in list(self._unrecorded.values()):
            failures_of(self._record, alert, outcome)

    def _record(self, alert: Alert, outcome: Outcome) -> None:
        with transaction.atomic():
            alerts.record(alert, outcome, at=self._clock())
        self._unrecorded.pop(alert.pk, None)


def _attempt(alert: Alert, at: dt.datetime) -> Outcome:
    try:
        return Outcome(text=_deliver(alert, at))
    except NotDelivered as failure:
        return Outcome(
            str(fit_to_show(str(failure) or type(failure).__name__)),
            permanent=failure.permanent,
            perhaps_sent=failure.perhaps_sent,
            retry_after=failure.retry_after,
        )
    except alerts.NoLongerThere as reason:
        return Outcome(str(reason), permanent=True)
    except Exception as problem:  # whatever it is, it is tried again, and seen
        logger.exception("alert %s", alert.pk)
        return Outcome(str(fit_to_show(repr(problem))), perhaps_sent=True)


def _deliver(alert: Alert, at: dt.datetime) -> str:
    """Put an alert into words and send it; return the words."""
    recipient = alerts.recipient_of(alert)
    incident = Incident.objects.select_related("acknowledged_by").get(pk=alert.incident_id)
    alert.incident = incident
    with translation.override(recipient.language):
        paused = pause.pause_reason()
    wording = text.say(
        alert,
        language=recipient.language,
        money=text.payouts_now(paused, language=recipient.language),
        perhaps_sent=alert.perhaps_sent,
        at=at,
    )
    release_connection()
    if recipient.channel == Channel.TELEGRAM:
        _in_telegram(alert, recipient, wording)
    elif recipient.channel == Channel.HOOK:
        hook.deliver(_payload(alert, wording, at))
    else:
        message_id = f"<alert-{alert.pk}@advertmarket>"
        mail.deliver(recipient.name, wording.headline, wording.plain, message_id=message_id)
    return wording.plain


def _in_telegram(alert: Alert, recipient: Recipient, wording: text.Wording) -> None:
    """Make a sound for what somebody must do, and none for what is gone."""
    incident = alert.incident
    is_open = incident.resolved_at is None and incident.acknowledged_at is None
    label = text.acknowledge_label(recipient.language)
    telegram.deliver(
        recipient.chat_id,
        wording.html,
        buttons=telegram.acknowledge_button(incident.pk, label) if is_open else (),
        silent=incident.severity == Severity.P3 or alert.reason == Reason.GONE,
    )


def _payload(alert: Alert, wording: text.Wording, at: dt.datetime) -> dict[str, object]:
    """What the hook gets; `id` is the same whenever the same alert comes again."""
    incident = alert.incident
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
        "respondBy": incident.respond_by.isoformat(),
        "acknowledged": incident.acknowledged_at is not None,
        "gone": incident.gone_at is not None,
        "resolved": incident.resolved_at is not None,
        "runbook": text.runbook_link(kind_named(incident.kind)),
        "title": wording.headline,
        "text": wording.plain,
        "sentAt": at.isoformat(),
    }
