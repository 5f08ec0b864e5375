"""Servers that keep the line open and say nothing: what a dead host looks like from outside."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from sandbox.process import LOOPBACK


@contextmanager
def database_at(port: int) -> Iterator[None]:
    """Let new connections to the database go to another port, and none of them stay in the pool."""
    database = connections.settings["default"]
    before, database["PORT"] = database["PORT"], port
    try:
        yield
    finally:
        database["PORT"] = before
        wrapper = connections["default"]
        assert isinstance(wrapper, DatabaseWrapper)
        if wrapper.connection is None:
            wrapper.close_pool()


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port that accepts connections and never says a word."""
    with socket.create_server((LOOPBACK, 0), backlog=128) as server:
        yield server.getsockname()[1]


class Cable:
    """A way to a server that can be made to swallow all that is sent, and to let it through again.

    `port` is its near end.
    """

    def __init__(self, to_port: int) -> None:
        self._to = (LOOPBACK, to_port)
        self._flows = threading.Event()
        self._flows.set()
        self._server = socket.create_server((LOOPBACK, 0), backlog=128)
        self._open: list[socket.socket] = [self._server]
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        """Keep back whatever comes from now on."""
        self._flows.clear()

    def flow(self) -> None:
        """Let what was kept back through."""
        self._flows.set()

    def cut(self) -> None:
        """Close every connection."""
        self.flow()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while sent := source.recv(65_536):
                self._flows.wait()
                sink.sendall(sent)
            sink.shutdown(socket.SHUT_WR)
