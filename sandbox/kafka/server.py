"""The server: formatted once, then started in KRaft mode."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sandbox.process import LOOPBACK, Child, free_port
from sandbox.services.service import Service

from .distribution import jars

_CLUSTER_ID = "advertmarketSandbox01w"  # 16 bytes in URL-safe base64
_NODE_ID = 1
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class Kafka(Service):
    """One node, broker and controller; it keeps its topics over a restart, and makes none itself.

    Raises:
        Unavailable: this machine cannot run it.
    """

    name = "apache-kafka"

    def __init__(self, root: Path) -> None:
        super().__init__(root.resolve(), ephemeral=False, account=None)
        self._jars = jars()
        self._controller_port = free_port()

    @property
    def env(self) -> dict[str, str]:
        """Where Kafka clients begin, and the shortest session timeout that Kafka allows."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.port}",
            "KAFKA_SESSION_TIMEOUT_S": "6",
        }

    def prepare(self) -> None:
        """Write the configuration; format the log directory once."""
        super().prepare()
        settings = {
            "process.roles": "broker,controller",
            "node.id": _NODE_ID,
            "listeners": (
                f"PLAINTEXT://{LOOPBACK}:{self.port},"
                f"CONTROLLER://{LOOPBACK}:{self._controller_port}"
            ),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"{_NODE_ID}@{LOOPBACK}:{self._controller_port}",
            "log.dirs": self._logs,
            "auto.create.topics.enable": "false",
            # after a crash the node waits until its former self is taken for dead
            "broker.session.timeout.ms": 2_000,
            "broker.heartbeat.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
        }
        lines = (f"{name}={value}\n" for name, value in settings.items())
        self._properties.write_text("".join(lines))
        if not (self._logs / "meta.properties").exists():
            tool = self._java("kafka.tools.StorageTool", "format", "--cluster-id", _CLUSTER_ID)
            command = [*tool, "--config", self._properties]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def command(self) -> list[str | Path]:
        """Return the server's command line."""
        return [*self._java("kafka.Kafka"), self._properties]

    def wait_ready(self, child: Child) -> None:
        """Wait until the broker accepts clients."""
        child.wait_for_port(self.port, timeout_s=60)

    def _java(self, main_class: str, *arguments: str) -> list[str | Path]:
        return ["java", *_JVM, _LOGGING, "-cp", f"{self._jars}/*", main_class, *arguments]

    @property
    def _properties(self) -> Path:
        return self.data / "server.properties"

    @property
    def _logs(self) -> Path:
        return self.data / "logs"
