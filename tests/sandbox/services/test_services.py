"""The embedded services: what crash tests rely on."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer

from sandbox.process import ChildFailed, listening, unprivileged_account
from sandbox.scratch import scratch_dir
from sandbox.services import Services
from tests.waiting import wait_until


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory that the servers' account may enter, when the tests run as root."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def durable() -> Iterator[Services]:
    with (
        tempfile.TemporaryDirectory() as directory,
        Services(Path(directory), ephemeral=False) as services,
    ):
        yield services


def connect(services: Services) -> psycopg.Connection[tuple[object, ...]]:
    env = services.env
    return psycopg.connect(
        host=env["DB_HOST"],
        port=env["DB_PORT"],
        dbname=env["DB_NAME"],
        user=env["DB_USER"],
        password=env["DB_PASSWORD"],
        autocommit=True,
    )


def test_postgres_keeps_what_it_acknowledged_over_a_crash(durable: Services) -> None:
    before = durable.env
    with connect(durable) as connection:
        connection.execute("CREATE TABLE survivor AS SELECT 42 AS answer")
    durable.kill("postgres")
    assert durable.dead() == ["postgres"]
    durable.restart("postgres")
    assert durable.dead() == []
    assert durable.env == before
    with connect(durable) as connection:
        assert connection.execute("SELECT answer FROM survivor").fetchall() == [(42,)]


def test_postgres_comes_back_while_a_client_kept_it_busy(durable: Services) -> None:
    with connect(durable) as idle:
        idle.execute("SELECT 1")
        durable.kill("postgres")
        durable.restart("postgres")
    with connect(durable) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_role_owns_its_database_and_makes_others_but_is_no_superuser(durable: Services) -> None:
    query = "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    with connect(durable) as connection:
        assert connection.execute(query).fetchone() == (False, False, True)
        connection.execute("CREATE DATABASE another")
        connection.execute("DROP DATABASE another WITH (FORCE)")


def test_redis_keeps_what_it_acknowledged_over_a_crash(durable: Services) -> None:
    port = int(durable.env["REDIS_PORT"])
    with redis.Redis(port=port) as client:
        client.set("pause", "on")
        durable.kill("valkey")
        durable.restart("valkey")
        assert client.get("pause") == b"on"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.thorough
def test_the_broker_comes_back_on_its_port_and_delivers(durable: Services) -> None:
    durable.kill("kafka")
    durable.restart("kafka")
    servers = {"bootstrap.servers": durable.env["KAFKA_BOOTSTRAP_SERVERS"]}
    producer = Producer({**servers, "acks": "all"})
    producer.produce("probe", key=b"deal", value=b"funded")
    assert producer.flush(20) == 0
    consumer = Consumer(
        {
            **servers,
            "group.id": "probe",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6_000,
        }
    )
    consumer.subscribe(["probe"])
    try:
        message = wait_until(lambda: consumer.poll(0.2), timeout_s=20, what="a message")
        assert message is not None
        assert (message.key(), message.value()) == (b"deal", b"funded")
    finally:
        consumer.close()


def test_children_outlive_the_thread_that_started_them(root: Path) -> None:
    services = Services(root, ephemeral=True, names={"valkey"})
    thread = threading.Thread(target=services.start)
    thread.start()
    thread.join()
    try:
        assert services.dead() == []
        assert listening(int(services.env["REDIS_PORT"]))
    finally:
        services.stop()
    assert not root.exists()


def test_a_directory_closed_to_the_servers_account_is_refused(root: Path) -> None:
    root.chmod(0o700)
    services = Services(root / "below", ephemeral=False, names={"valkey"})
    if unprivileged_account() is None:
        pytest.skip("only root drops to another account")
    with pytest.raises(ChildFailed, match=f"may not enter {root}"):
        services.start()
    assert services.dead() == []


@contextmanager
def up(root: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run `up` in a process of its own; gives it with the environment that it prints."""
    command = [sys.executable, "-m", "sandbox.services", "up", "--dir", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [line.strip() for line in itertools.islice(process.stdout, 9)]
        yield process, dict(line.split("=", 1) for line in lines)


def ports(env: dict[str, str]) -> list[int]:
    kafka = env["KAFKA_BOOTSTRAP_SERVERS"].rpartition(":")[2]
    return [int(port) for port in (env["DB_PORT"], env["REDIS_PORT"], kafka)]


@pytest.mark.thorough
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_services_are_gone_with_their_parent(root: Path, end: signal.Signals) -> None:
    with up(root) as (process, env):
        assert [listening(port) for port in ports(env)] == [True, True, True]
        process.send_signal(end)
        assert process.wait(20) == (-end if end == signal.SIGKILL else 0)
    wait_until(lambda: not any(map(listening, ports(env))), what="all three stopped")


@pytest.mark.thorough
def test_a_service_that_dies_ends_up(root: Path) -> None:
    with up(root) as (process, env):
        with redis.Redis(port=int(env["REDIS_PORT"])) as client:
            os.kill(client.info()["process_id"], signal.SIGKILL)
        assert process.wait(20) == 1


def test_run_returns_the_commands_exit_code_and_leaves_nothing() -> None:
    script = "import os, sys; print(os.getppid(), os.environ['DB_PORT']); sys.exit(7)"
    result = subprocess.run(
        [sys.executable, "-m", "sandbox.services", "run", "--", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 7
    pid, port = result.stdout.split()
    assert not listening(int(port))
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    assert [left for place in places for left in place.glob(f"advertmarket-{pid}-*")] == []


def test_what_a_killed_process_left_is_removed_by_the_next() -> None:
    program = "from sandbox.scratch import scratch_dir; print(scratch_dir())"
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    left = Path(output.strip())
    assert left.is_dir()
    mine, other = scratch_dir(), scratch_dir()
    assert not left.exists()
    mine.rmdir()
    other.rmdir()
