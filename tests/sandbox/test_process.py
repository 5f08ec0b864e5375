"""Child processes: waiting for them, and that they end with their parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.process import Child, ChildFailed, free_port, listening, run_command, stop_all
from tests.waiting import wait_until

FOREVER = "import time; time.sleep(60)"


def python(program: str, log: Path, name: str = "child") -> Child:
    return Child(name, [sys.executable, "-c", program], log=log)


def running(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_is_waited_for_by_its_port(tmp_path: Path) -> None:
    port = free_port()
    assert not listening(port)
    program = f"import socket; s = socket.create_server(('127.0.0.1', {port})); {FOREVER}"
    child = python(program, tmp_path / "log")
    child.wait_for_port(port)
    assert listening(port)
    child.stop()
    assert not listening(port)
    assert child.returncode == -signal.SIGTERM


def test_a_child_is_waited_for_by_a_line_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ready, said an earlier run\n")
    child = python(f"print('getting there', flush=True); {FOREVER}", log)
    child.wait_for_line("getting there")
    with pytest.raises(ChildFailed, match=r"no line with 'ready' in 0.1 s\n  getting there"):
        child.wait_for_line("ready", timeout_s=0.1)
    child.stop()


def test_a_child_that_ends_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = python("raise SystemExit('no disk')", tmp_path / "log", name="database")
    with pytest.raises(ChildFailed, match=r"database exited with 1\n  no disk"):
        child.wait_for_line("ready")


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"print('deaf', flush=True); {FOREVER}"
    )
    child = python(program, tmp_path / "log")
    child.wait_for_line("deaf")
    child.stop(timeout_s=0.2)
    assert child.returncode == -signal.SIGKILL


def test_the_last_started_is_stopped_first(tmp_path: Path) -> None:
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(sys.argv[1], 'stopped')))\n"
        "print(sys.argv[1], 'started', flush=True)\n"
        "signal.pause()"
    )
    log = tmp_path / "log"
    children = []
    for name in ("first", "second"):
        child = Child(name, [sys.executable, "-c", program, name], log=log)
        child.wait_for_line(f"{name} started")
        children.append(child)
    stop_all(children)
    assert log.read_text().splitlines()[2:] == ["second stopped", "first stopped"]


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    children: list[Child] = []
    thread = threading.Thread(
        target=lambda: children.append(
            python(f"print('up', flush=True); {FOREVER}", tmp_path / "log")
        )
    )
    thread.start()
    thread.join()
    (child,) = children
    child.wait_for_line("up")
    assert child.returncode is None
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    program = (
        "import sys, time; from sandbox.process import Child; "
        f"print(Child('child', [sys.executable, '-c', '{FOREVER}']).pid, flush=True); "
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.kill()
    wait_until(lambda: not running(pid), what="the end of the child")


def test_a_foreground_command_gives_its_exit_code_as_a_shell_would() -> None:
    def code(program: str) -> int:
        return run_command([sys.executable, "-c", program], {"GREETING": "hello"})

    assert code("import os, sys; sys.exit(5 if os.environ['GREETING'] == 'hello' else 1)") == 5
    assert code("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == 137
    assert run_command(["no-such-command"], {}) == 127


def test_sigterm_is_passed_on_to_a_foreground_command() -> None:
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        f"os.kill({os.getpid()}, signal.SIGTERM)\n"
        "time.sleep(60)"
    )
    assert run_command([sys.executable, "-c", program], {}) == 9


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        outgoing = server.getsockname()[1]
    assert free_port() < 32_000 < outgoing
