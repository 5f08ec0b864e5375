"""The three services together."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from sandbox.process import ChildFailed, unprivileged_account

from .binaries import closed
from .broker import Broker
from .postgres import Postgres
from .service import Service
from .valkey import Valkey

_KINDS: tuple[type[Service], ...] = (Postgres, Valkey, Broker)
ALL_NAMES = frozenset(kind.name for kind in _KINDS)


class Services:
    """PostgreSQL (`postgres`), Valkey (`valkey`) and a Kafka-protocol broker (`kafka`).

    Each keeps its port while this object lives. Unless ephemeral, PostgreSQL and Valkey keep in
    `root` what they acknowledged, over any crash; ephemeral ones are faster, and their `root` is
    removed at the end. The broker keeps nothing in either case. `names` says which to run.
    """

    def __init__(self, root: Path, *, ephemeral: bool, names: Collection[str] = ALL_NAMES) -> None:
        self.root = root.resolve()
        self.ephemeral = ephemeral
        self._account = unprivileged_account()
        self._services: dict[str, Service] = {
            kind.name: kind(self.root, ephemeral=ephemeral, account=self._account)
            for kind in _KINDS
            if kind.name in names
        }

    @property
    def env(self) -> dict[str, str]:
        """The variables by which the product finds the services, once they are started."""
        return {k: v for service in self._services.values() for k, v in service.env.items()}

    def start(self) -> None:
        """Start all and wait until all are ready.

        Raises:
            ChildFailed: one did not come up; its last output is in the message. Or this process
                is root, and the account it drops to may not enter `root`.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o755)
        if self._account is not None and (barrier := closed(self.root)) is not None:
            raise ChildFailed(f"the servers' account may not enter {barrier}: choose another place")
        children = [(service, service.spawn()) for service in self._services.values()]
        for service, child in children:
            service.wait_ready(child)

    def stop(self) -> None:
        """Stop all in order; ephemeral ones leave nothing behind."""
        for service in reversed(self._services.values()):
            service.stop()
        if self.ephemeral:
            shutil.rmtree(self.root, ignore_errors=True)

    def kill(self, name: str) -> None:
        """SIGKILL one service, as a crash would."""
        self._services[name].kill()

    def restart(self, name: str) -> None:
        """Start one service again, on its port and with its data, whether or not it still runs."""
        self._services[name].stop()
        self._services[name].start()

    def superuser(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to the product's database as PostgreSQL's superuser, whom nothing is forbidden.

        Each statement commits by itself.
        """
        return next(s for s in self._services.values() if isinstance(s, Postgres)).superuser()

    def dead(self) -> list[str]:
        """Return the names of the started services that do not run any more."""
        return [
            name
            for name, service in self._services.items()
            if service.child is not None and service.child.returncode is not None
        ]

    def __enter__(self) -> Services:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
