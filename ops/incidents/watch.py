"""The watch: every few seconds it looks, follows, rings and tells, whatever else is dead.

Its own loop touches no network and no database: all of that is done beside it, each with a limit.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import threading
from collections.abc import Callable

import psycopg
from django.db import InterfaceError, InternalError, OperationalError

from ops.beside import Beside, Silent

from . import alerts, clocks, deadman, pausing, rota
from .changes import failures_of
from .follow import Memory, Sighting, follow
from .leader import Leadership
from .look import Lookout
from .outage import Outage
from .sending import Sender

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]

TURN_S = 5.0
LEAD_LIMIT_S = 6.0
"""PostgreSQL is given up after `connect_timeout`, 5 s."""

WRITE_LIMIT_S = 30.0
"""What is written in a turn takes milliseconds; a database that hangs is as good as away."""

LEAVE_WITHIN_S = 8.0
FAILS_FOR = dt.timedelta(minutes=1)
"""A watch whose turns fail for so long gives another one the chance."""

RESTS_FOR = dt.timedelta(seconds=15)
"""Three turns of the one that stands by."""

_AWAY = (OperationalError, InterfaceError, InternalError, psycopg.Error, Silent)
"""With a full disk PostgreSQL reads and refuses to write (OperationalError), and so it does as a
standby (InternalError): no incident can be opened, which is as bad as if it were away."""


class Watch:
    """One process's watch; the other's stands by as long as this one holds the lock."""

    def __init__(self, clock: Clock, lookout: Lookout | None = None) -> None:
        self._clock = clock
        self._lookout = lookout or Lookout(clock)
        self._leadership = Leadership()
        self._memory = Memory()
        self._outage = Outage(clock)
        self._sender = Sender(clock)
        self._switch = deadman.Switch()
        self._jobs: Beside[str, bool] = Beside()
        self._leads = False
        self._fails_since: dt.datetime | None = None
        self._rests_until: dt.datetime | None = None

    def run(self, stop: threading.Event) -> None:
        """Take turn after turn until told to stop; then let the alerts in hand go out."""
        while not stop.is_set():
            try:
                self.turn()
            except Exception:
                logger.exception("a turn of the watch failed")
            stop.wait(TURN_S)
        self.leave()

    def finish(self, *, limit_s: float) -> bool:
        """Wait for what is being told; return whether all of it has ended."""
        telling = (self._sender, self._outage, self._switch)
        return all(one.wait(limit_s=limit_s) for one in telling)

    def leave(self) -> None:
        """Let the alerts in hand go out, and give the lock to whoever stands by."""
        if not self.finish(limit_s=LEAVE_WITHIN_S):
            logger.warning("alerts in hand are left behind: they go out with the next start")
        self._leadership.let_go()

    def turn(self) -> None:
        """Look at everything and tell of what is wrong, if this is the watch that does so."""
        leads = not self._rests() and self._in_time("lead", self._leadership.hold, LEAD_LIMIT_S)
        if leads is None:
            return
        if leads != self._leads:
            logger.warning("this watch %s", "is the one that tells" if leads else "stands by")
            self._leads = leads
        job = functools.partial(self._follow, self._lookout.look()) if leads else self._stand_by
        answer = self._in_time("write down", job, WRITE_LIMIT_S)
        if answer:
            self._switch.hold(at=self._clock())
        self._give_up_if_failing(fails=leads and answer is None)

    def _follow(self, sighting: Sighting) -> bool:
        """Write down what was seen, and hand over what is to be sent; return if all went well."""
        at = sighting.at
        failures = follow(sighting, self._memory)
        failures += pausing.pause_what_asks(at=at)
        failures += clocks.ring(at=at)
        is_away = [failure for failure in failures if isinstance(failure, _AWAY)]
        failed = [*(is_away or failures_of(self._outage.keep)), *failures_of(self._remember)]
        self._sender.send_due()
        if failed:
            raise failed[0]
        return not failures and deadman.somebody_hears(at=at)

    def _stand_by(self) -> bool:
        """Be ready for an outage; the switch is held by whoever tells."""
        self._outage.keep()
        self._remember()
        return False

    def _remember(self) -> None:
        self._outage.remember([alerts.recipients(level=level) for level in range(rota.levels())])

    def _rests(self) -> bool:
        return self._rests_until is not None and self._clock() < self._rests_until

    def _give_up_if_failing(self, *, fails: bool) -> None:
        """Let whoever stands by lead, where this process alone may be what is wrong."""
        now = self._clock()
        self._fails_since = (self._fails_since or now) if fails else None
        if self._fails_since is not None and now - self._fails_since >= FAILS_FOR:
            logger.error("turns have failed since %s: another watch may lead", self._fails_since)
            self._leadership.let_go()
            self._fails_since, self._rests_until = None, now + RESTS_FOR

    def _in_time(self, name: str, job: Callable[[], bool], limit_s: float) -> bool | None:
        """Return what a job says, or nothing: it failed, or PostgreSQL is away."""
        answer = self._jobs.all({name: job}, limit_s=limit_s)[name]
        if isinstance(answer, _AWAY):
            self._outage.away(f"{type(answer).__name__}: {answer}")
        elif isinstance(answer, Exception):
            logger.error("a turn of the watch failed", exc_info=answer)
        else:
            return answer
        return None
