"""Child processes that do not outlive this one, and waiting for them."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

LOOPBACK = "127.0.0.1"
_TETHER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("tether.py")))

# The death signal comes when the thread that started the child ends, not only when its process
# does (prctl(2)): one thread, which lives as long as this process, starts every child.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class ChildFailed(Exception):
    """A child process ended, or did not get ready in time."""


@dataclass(frozen=True)
class Account:
    """An operating system account that a child runs as."""

    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Return the account to drop to when this process is root, None when it is not.

    Raises:
        ChildFailed: root, and the system has neither of the usual accounts.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ChildFailed("root needs an account to drop to: neither postgres nor nobody exists")


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on.

    It lies below the range from which systems take ports for outgoing connections, so that none
    of those can take it while the service that owns it restarts.
    """
    for port in random.sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            return port
    raise ChildFailed("found no free port")


def listening(port: int) -> bool:
    """Return whether something accepts TCP connections on this port of the loopback interface."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


class Child:
    """A child process; the kernel stops it when this process ends, however it ends (Linux).

    Its output is appended to `log` (inherited if None). With `own_session` (the default) a Ctrl-C
    in the terminal does not reach it, so that the parent decides when it stops.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        own_session: bool = True,
    ) -> None:
        """Start `command`; `env` is added to this process's environment."""
        self.name = name
        self._log = log
        self._stop_signal = stop_signal
        self._log_start = log.stat().st_size if log and log.exists() else 0
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else None
            self._process: subprocess.Popen[bytes] = _spawner.submit(
                subprocess.Popen,
                [
                    *_TETHER,
                    *(str(os.getpid()), str(int(stop_signal))),
                    f"{account.uid}:{account.gid}" if account else "-",
                    *map(str, command),
                ],
                stdin=subprocess.DEVNULL if own_session else None,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=own_session,
            ).result()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal's number after a signal, None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: still running after `timeout_s`.
        """
        return self._process.wait(timeout_s)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the child has ended."""
        self._process.send_signal(number)

    def stop(self, timeout_s: float = 15) -> None:
        """Ask it to stop and wait; after `timeout_s` kill it."""
        self.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL it, as a crash would, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def output(self) -> str:
        """Return what it has written to its log since it started."""
        if self._log is None:
            return ""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
        """Wait until `ready()`, polling.

        Raises:
            ChildFailed: the child ended or the time is up; the message ends with its output.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self.returncode is not None:
                raise ChildFailed(f"{self.name} exited with {self.returncode}{self._last_words()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name}: no {what} in {timeout_s} s{self._last_words()}")
            time.sleep(0.02)

    def wait_for_port(self, port: int, timeout_s: float = 30) -> None:
        """Wait until `port` accepts connections (raises as `wait_until`)."""
        self.wait_until(lambda: listening(port), f"listener on port {port}", timeout_s)

    def wait_for_line(self, text: str, timeout_s: float = 30) -> None:
        """Wait until its output contains `text` (raises as `wait_until`)."""
        self.wait_until(lambda: text in self.output(), f"line with {text!r}", timeout_s)

    def _last_words(self) -> str:
        lines = self.output().strip().splitlines()[-15:]
        return "".join(f"\n  {line}" for line in lines)


def stop_all(children: Iterable[Child]) -> None:
    """Stop children one after another, the last started first."""
    for child in reversed(list(children)):
        child.stop()


def run_command(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command in the foreground with `env` added and return its exit code as a shell would.

    SIGTERM and SIGHUP are passed on to it; a Ctrl-C it gets from the terminal itself.
    """
    child = Child(command[0], command, env=env, own_session=False)
    with (
        _handling({signal.SIGTERM, signal.SIGHUP}, child.send_signal),
        _handling({signal.SIGINT}, lambda _number: None),
    ):
        code = child.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def stop_requested() -> Iterator[threading.Event]:
    """Give an event that SIGTERM, SIGHUP or SIGINT sets, instead of ending the process."""
    event = threading.Event()
    with _handling({signal.SIGTERM, signal.SIGHUP, signal.SIGINT}, lambda _number: event.set()):
        yield event


@contextlib.contextmanager
def _handling(
    signals: Iterable[signal.Signals], handle: Callable[[signal.Signals], None]
) -> Iterator[None]:
    def handler(number: int, _frame: FrameType | None) -> None:
        handle(signal.Signals(number))

    previous = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)
