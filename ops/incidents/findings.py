"""What a cause is about, thing by thing: another thing of a known cause is news to people."""

from __future__ import annotations

import datetime as dt
import hashlib

from ops.models import Incident

from .causes import Cause


def known_from(cause: Cause, at: dt.datetime) -> dict[str, int]:
    """Return the digest of each thing that a cause is about, and when it was seen."""
    return dict.fromkeys(map(_digest, cause.subjects), int(at.timestamp()))


def take_in(incident: Incident, cause: Cause, at: dt.datetime, *, gone_after: dt.timedelta) -> bool:
    """Keep what a cause is about now; return whether it is news: another thing, or more of them.

    A thing that was missing for `gone_after`, while others were seen, is news when it is back.
    """
    forgotten = int((incident.last_seen_at - gone_after).timestamp())
    seen = known_from(cause, at)
    known = {thing: last for thing, last in incident.subjects.items() if last > forgotten}
    is_news = not seen.keys() <= known.keys() or cause.found > incident.found
    incident.subjects = known | seen
    incident.found = max(incident.found, cause.found)
    return is_news


def _digest(subject: str) -> str:
    return hashlib.blake2b(subject.encode(errors="replace"), digest_size=8).hexdigest()
