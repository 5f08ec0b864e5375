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
from django.db import InterfaceError, OperationalError

from ops.beside import Beside, Silent

from . import alerts, clocks, deadman, pausing, rota
from .follow import Memory, Sighting, follow
from .leader import Leadership
from .look import Lookout
from .memory import Outage
from .sending import Sender

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]

TURN_S = 5.0
LEAD_LIMIT_S = 6.0
"""PostgreSQL is given up after `connect_timeout`, 5 s."""

WRITE_LIMIT_S = 30.0
"""What is written in a turn takes milliseconds; a database that hangs is as good as away."""

LEAVE_WITHIN_S = 8.0
_AWAY = (OperationalError, InterfaceError, psycopg.Error, Silent)


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
        leads = self._in_time("lead", self._leadership.hold, LEAD_LIMIT_S)
        if leads is None:
            return
        if leads != self._leads:
            logger.warning("this watch %s", "is the one that tells" if leads else "stands by")
            self._leads = leads
        job = functools.partial(self._follow, self._lookout.look()) if leads else self._stand_by
        if self._in_time("write down", job, WRITE_LIMIT_S):
            self._switch.hold(at=self._clock())

    def _follow(self, sighting: Sighting) -> bool:
        """Write down what was seen, and hand over what is to be sent; return if all went well."""
        at = sighting.at
        whole = follow(sighting, self._memory)
        whole &= pausing.pause_what_asks(at=at)
        clocks.ring(at=at)
        self._stand_by()
        self._sender.send_due()
        return whole and deadman.somebody_hears(at=at)

    def _stand_by(self) -> bool:
        """Be ready for an outage; the switch is held by whoever tells."""
        self._outage.keep()
        self._outage.remember([alerts.recipients(level=level) for level in range(rota.levels())])
        return False

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
