"""From what detectors see to incidents: opened once per cause, noted while it lasts, and gone.

A cause that is gone and back within `GONE_AFTER` is the same incident, and nobody is told anew.
Each incident's change is one database transaction with the alerts that tell of it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from advertmarket.db import requires_transaction
from ops.models import Alert, Incident, IncidentEntry

from . import alerts
from .causes import Cause
from .changes import failures_of
from .detectors import RUNNER, all_detectors
from .findings import known_from, take_in
from .history import note, times
from .kinds import RESPONSE

logger = logging.getLogger(__name__)

Reason, What = Alert.Reason, IncidentEntry.What

GONE_AFTER = dt.timedelta(minutes=10)
"""For how long a cause must not have been seen before people hear that it is gone."""

HIDES_FOR = dt.timedelta(minutes=2)
"""Consequences outlive their cause: workers take a while to find a service that is back."""

BY_ITSELF = _("gone by itself")
"""Stands in English where it is stored."""


@dataclass(frozen=True)
class Sighting:
    """One turn's look: the causes that each detector saw. Those that could not tell are absent."""

    at: dt.datetime
    by_detector: Mapping[str, Collection[Cause]]


@dataclass
class Memory:
    """Since when causes are seen, and when a kind was ripe last: what decides which are ripe."""

    since: dict[str, dt.datetime] = field(default_factory=dict)
    kind_ripe_at: dict[str, dt.datetime] = field(default_factory=dict)

    def ripe(self, sighting: Sighting) -> list[tuple[str, Cause]]:
        """Note what is seen; return (detector, cause) of what has been there for long enough.

        What a ripe cause explains is as if it had not been seen, and begins anew afterwards. One
        that is not ripe yet, and may never be, only keeps what it would explain waiting.
        """
        at = sighting.at
        seen = [(name, cause) for name, found in sighting.by_detector.items() for cause in found]
        since = {cause.id: self.since.get(cause.id, at) for _, cause in seen}
        held = {
            cause.id: at - since[cause.id] >= dt.timedelta(seconds=cause.kind.hold_s)
            for _, cause in seen
        }
        self.kind_ripe_at |= {cause.kind.name: at for _, cause in seen if held[cause.id]}
        unripe = {cause.kind.name for _, cause in seen if not held[cause.id]}
        apparent = [(name, cause) for name, cause in seen if not self._is_explained(cause, at)]
        self.since = {cause.id: since[cause.id] for _, cause in apparent}
        return [
            (detector, cause)
            for detector, cause in apparent
            if held[cause.id] and unripe.isdisjoint(cause.explained_by)
        ]

    def _is_explained(self, cause: Cause, at: dt.datetime) -> bool:
        explaining = (self.kind_ripe_at.get(name) for name in cause.explained_by)
        return any(ripe_at is not None and at - ripe_at < HIDES_FOR for ripe_at in explaining)


def follow(sighting: Sighting, memory: Memory) -> list[Exception]:
    """Bring the incidents in line with what is seen; return why what could not be written.

    What a detector did not see is gone; of one that could not tell, nothing is known, and what it
    saw before stays. One change that fails keeps no other one waiting.
    """
    at = sighting.at
    ripe = memory.ripe(sighting)
    open_causes = set(open_incidents().values_list("cause", flat=True))
    seen = {cause.id: cause for found in sighting.by_detector.values() for cause in found}
    failures = []
    for cause in (cause for name, cause in seen.items() if name in open_causes):
        failures += failures_of(_seen_again, cause, at)
    for detector, cause in ripe:
        if cause.id not in open_causes:
            failures += failures_of(open_one, cause, detector, at)
    missing = open_incidents().filter(gone_at=None, last_seen_at__lte=at - GONE_AFTER)
    for incident in missing.exclude(cause__in=seen):
        if _detector_answered(incident, sighting):
            failures += failures_of(_gone, incident.pk, at)
    return failures


def open_incidents() -> QuerySet[Incident]:
    """All that nobody has resolved."""
    return Incident.objects.filter(resolved_at=None)


@requires_transaction
def open_one(cause: Cause, detector: str, at: dt.datetime) -> None:
    """Open the incident of a cause and have people told, unless it is open."""
    incident, is_new = _get_or_open(cause, detector, at)
    if is_new:
        note(incident, What.OPENED, at=at)
        alerts.write(incident, Reason.OPENED, number=incident.episode, at=at)
        logger.warning("incident %s opened: %s %s", incident.pk, incident.severity, cause.id)


@requires_transaction
def open_past(cause: Cause, detector: str, at: dt.datetime) -> None:
    """Open the incident of a cause that is over by now: people hear that it was.

    One that was opened since the cause began is the same.
    """
    incident, is_new = _get_or_open(cause, detector, at)
    if is_new:
        note(incident, What.OPENED, at=at)
    elif cause.since is None or incident.told_at < cause.since:
        _come_back(incident, cause, at)
    else:
        return
    incident.last_seen_at = incident.gone_at = at
    incident.save()
    note(incident, What.GONE, at=at)
    alerts.write(incident, Reason.OPENED, number=incident.episode, at=at)


def _get_or_open(cause: Cause, detector: str, at: dt.datetime) -> tuple[Incident, bool]:
    """Return the locked open incident of a cause, and whether it was opened by this."""
    kind = cause.kind
    return (
        open_incidents()
        .select_for_update(no_key=True)
        .get_or_create(
            cause=cause.id,
            resolved_at=None,
            defaults={
                "kind": kind.name,
                "detector": detector,
                "severity": kind.severity,
                "facts": cause.shown(),
                "page": cause.page,
                "subjects": known_from(cause, at),
                "found": cause.found,
                "since_at": min(cause.since or at, at),
                "opened_at": at,
                "last_seen_at": at,
                "told_at": at,
                "respond_by": at + RESPONSE[kind.severity],
                "level": cause.level,
                "pause_asked_at": at if kind.pauses else None,
            },
        )
    )


def _seen_again(cause: Cause, at: dt.datetime) -> None:
    incident = open_incidents().select_for_update(no_key=True).filter(cause=cause.id).first()
    if incident is None:  # resolved a moment ago: the next turn opens another
        return
    is_news = take_in(incident, cause, at, gone_after=GONE_AFTER)
    incident.last_seen_at = max(at, incident.last_seen_at)
    incident.facts, incident.page = cause.shown(), cause.page
    if incident.gone_at is not None:
        _come_back(incident, cause, at)
        alerts.write(incident, Reason.OPENED, number=incident.episode, at=at)
    elif is_news:
        _grow(incident, cause, at)
    incident.save()


def _come_back(incident: Incident, cause: Cause, at: dt.datetime) -> None:
    """People heard that it was gone: all begins anew, and it pauses again."""
    incident.gone_at, incident.since_at = None, min(cause.since or at, at)
    incident.episode += 1
    incident.subjects, incident.found = known_from(cause, at), cause.found
    incident.pause_asked_at = at if cause.kind.pauses else None
    _ring_anew(incident, cause, at)
    note(incident, What.BACK, at=at)


def _grow(incident: Incident, cause: Cause, at: dt.datetime) -> None:
    """Who answers for what was found before has not seen this: all are told, and it pauses again.

    As long as nobody answers its clock goes on: what grows and grows is escalated all the same.
    """
    if incident.acknowledged_at is not None:
        _ring_anew(incident, cause, at)
    incident.told_at = at
    if cause.kind.pauses:
        incident.pause_asked_at = incident.pause_asked_at or at
    note(incident, What.MORE, at=at)
    alerts.write(incident, Reason.MORE, number=times(incident, What.MORE), at=at)


def _ring_anew(incident: Incident, cause: Cause, at: dt.datetime) -> None:
    """Nobody answers for it, and its clock begins."""
    incident.acknowledged_at = incident.acknowledged_by = None
    incident.told_at, incident.respond_by = at, at + RESPONSE[cause.kind.severity]
    incident.level = cause.level


def _gone(pk: int, at: dt.datetime) -> None:
    incident = open_incidents().select_for_update(no_key=True).filter(pk=pk, gone_at=None).first()
    if incident is None or incident.last_seen_at > at - GONE_AFTER:
        return
    incident.gone_at = incident.last_seen_at
    note(incident, What.GONE, at=at)
    if not incident.is_grave:
        with translation.override("en"):
            incident.resolved_at, incident.note = at, str(BY_ITSELF)
        note(incident, What.RESOLVED, at=at, text=incident.note)
    incident.save()
    alerts.write(incident, Reason.GONE, number=incident.episode, at=at)


def _detector_answered(incident: Incident, sighting: Sighting) -> bool:
    known = {detector.name for detector in all_detectors()} | {RUNNER}
    return incident.detector in sighting.by_detector or incident.detector not in known
