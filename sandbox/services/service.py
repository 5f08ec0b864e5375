"""What the embedded services have in common."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from pathlib import Path

from sandbox.process import Account, Child, free_port


class Service(ABC):
    """A server that runs as a child of this process, on one port for all of its life."""

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, root: Path, *, ephemeral: bool, account: Account | None) -> None:
        self.root = root
        self.ephemeral = ephemeral
        self.account = account
        self.port = free_port()
        self.child: Child | None = None

    @property
    def data(self) -> Path:
        """Where the server keeps what it must not lose."""
        return self.root / self.name

    @property
    @abstractmethod
    def env(self) -> dict[str, str]:
        """The variables by which the product finds this service."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """The server's command line."""

    def prepare(self) -> None:
        """Make what the server needs before it starts."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.give(self.data)

    def wait_ready(self, child: Child) -> None:
        """Wait until clients may come."""
        child.wait_for_port(self.port)

    def spawn(self) -> Child:
        """Start the server without waiting for it."""
        self.prepare()
        self.child = Child(
            self.name,
            self.command(),
            log=self.root / f"{self.name}.log",
            cwd=self.data,
            account=self.account,
            stop_signal=self.stop_signal,
        )
        return self.child

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        self.wait_ready(self.spawn())

    def stop(self) -> None:
        """Stop the server in order; nothing happens if it does not run."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """SIGKILL the server, as a crash would."""
        if self.child is not None:
            self.child.kill()

    def give(self, path: Path) -> None:
        """Make the server's account the owner of `path`."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)
