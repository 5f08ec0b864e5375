"""What an alert says: how grave, what, since when, what it means for the money, what to do first.

It is put into words when it is sent, so that it is true then, however late that is.
"""

from __future__ import annotations

import datetime as dt
import html
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from ops.models import Alert, Incident, Severity

from .causes import fit_to_show, moment, page_of
from .kinds import RESPONSE, Kind, kind_named

_HANDBOOK = "docs/runbook.md"
_UNKNOWN = "?"

Reason = Alert.Reason


@dataclass(frozen=True)
class Wording:
    """A headline and the lines below it, in plain text."""

    headline: str
    lines: tuple[str, ...]

    @property
    def plain(self) -> str:
        """All of it, as mail has it."""
        return "\n".join([self.headline, "", *self.lines])

    @property
    def html(self) -> str:
        """All of it, as Telegram has it."""
        lines = (html.escape(line, quote=False) for line in self.lines)
        return "\n".join([f"<b>{html.escape(self.headline, quote=False)}</b>", "", *lines])


def say(alert: Alert, *, language: str, money: str, perhaps_sent: bool, at: dt.datetime) -> Wording:
    """Put an alert into words; `money` says whether payouts run, as `payouts_now` does."""
    incident = alert.incident
    kind = kind_named(incident.kind)
    with translation.override(language):
        facts = _facts(incident.facts)
        headline = f"{_mark(alert.reason, incident)} · {title_of(incident)}"
        lines = [
            _fill(kind.figures, facts),
            *_why(alert, at=at),
            _since(incident.since_at, at=at),
            str(kind.means),
            money,
            *(() if incident.resolved_at else [_("First: {what}").format(what=kind.first)]),
            *_answering(incident),
            *_links(kind, incident),
        ]
        if perhaps_sent:
            lines.append(_("Sent once more: it is not known whether this arrived before."))
    return Wording(headline, tuple(line for line in lines if line))


def title_of(incident: Incident) -> str:
    """Return what an incident is, in the active language."""
    return _fill(kind_named(incident.kind).title, _facts(incident.facts))


def say_from_memory(
    kind: Kind,
    facts: Mapping[str, Any],
    *,
    language: str,
    every: dt.timedelta,
    since: dt.datetime,
    at: dt.datetime,
) -> Wording:
    """Put into words what no row can be written about, and what is said again and again."""
    with translation.override(language):
        shown = _facts({name: fit_to_show(value) for name, value in facts.items()})
        repeated = _("Said every {minutes} min until it is over: nobody can acknowledge it now.")
        lines = (
            _fill(kind.figures, shown),
            _since(since, at=at),
            str(kind.means),
            _("First: {what}").format(what=kind.first),
            repeated.format(minutes=_minutes(every)),
            _runbook(kind),
            _dashboard(kind),
        )
        return Wording(f"{kind.severity} · {_fill(kind.title, shown)}", lines)


def payouts_now(reason: str, *, language: str) -> str:
    """Say whether payouts run: `reason` is why not, or nothing."""
    with translation.override(language):
        if reason:
            return _("Payouts are paused: {reason}.").format(reason=reason)
        return _("Payouts run.")


def acknowledge_label(language: str) -> str:
    """Return what the button says."""
    with translation.override(language):
        return _("Acknowledge")


def _mark(reason: str, incident: Incident) -> str:
    """The severity, and what became of the incident since it was opened."""
    became = ""
    if incident.resolved_at is not None or incident.gone_at is not None:
        became = _("over")
    elif reason == Reason.REPEATED:
        became = _("again")
    elif reason == Reason.ESCALATED:
        became = _("escalated")
    elif reason == Reason.MORE:
        became = _("more")
    return " · ".join(filter(None, (incident.severity, became)))


def _why(alert: Alert, *, at: dt.datetime) -> list[str]:
    """Why this is said now, beyond that there is an incident."""
    incident = alert.incident
    lines = []
    if alert.reason in {Reason.REPEATED, Reason.ESCALATED} and not incident.is_quiet:
        minutes = _minutes(at - incident.opened_at)
        lines.append(_("Nobody has acknowledged it for {minutes} min.").format(minutes=minutes))
    if alert.reason == Reason.OPENED and incident.episode > 1:
        lines.append(_("It was gone, and is back."))
    if alert.reason == Reason.MORE:
        lines.append(_("More was found than people were told of before."))
    if incident.gone_at is not None:
        lines.append(_("Not seen since {moment}.").format(moment=moment(incident.gone_at)))
    if incident.gone_at is not None and incident.is_grave and incident.resolved_at is None:
        lines.append(_("A person still has to resolve it, with a note."))
    return lines


def _answering(incident: Incident) -> list[str]:
    """Who answers for it, or until when somebody must."""
    if incident.resolved_at is not None:
        return [_("Resolved at {moment}.").format(moment=moment(incident.resolved_at))]
    if incident.acknowledged_by is not None:
        who = incident.acknowledged_by.get_username()
        return [_("{who} has acknowledged it.").format(who=who)]
    if incident.is_quiet:
        return []
    within = _minutes(RESPONSE[Severity(incident.severity)])
    text = _("Incident {number}: acknowledge it within {minutes} min, until {moment}.")
    return [text.format(number=incident.pk, minutes=within, moment=moment(incident.respond_by))]


def _links(kind: Kind, incident: Incident) -> list[str]:
    lines = [_runbook(kind)]
    if incident.page:
        lines.append(_("Look at: {link}").format(link=f"{settings.PUBLIC_URL}{incident.page}"))
    own = f"{settings.PUBLIC_URL}{page_of('ops_incident', incident.pk)}"
    return [*lines, _("Incident: {link}").format(link=own), _dashboard(kind)]


def _runbook(kind: Kind) -> str:
    return _("Runbook: {link}").format(link=runbook_link(kind))


def runbook_link(kind: Kind) -> str:
    """Return where the runbook says what to do, on the web if it is there."""
    return f"{settings.RUNBOOK_URL or _HANDBOOK}#{kind.anchor}"


def _dashboard(kind: Kind) -> str:
    return _("Dashboard: {name}").format(name=kind.dashboard.value)


def _since(since: dt.datetime, *, at: dt.datetime) -> str:
    text = _("Since {moment} ({minutes} min).")
    return text.format(moment=moment(since), minutes=_minutes(at - since))


def _minutes(duration: dt.timedelta) -> int:
    return max(0, int(duration.total_seconds() // 60))


def _facts(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts, and a question mark for what is not among them, so that no alert is lost."""
    return defaultdict(lambda: _UNKNOWN, facts)


def _fill(text: Promise, facts: Mapping[str, Any]) -> str:
    return str(text).format_map(facts)
