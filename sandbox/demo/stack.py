"""Every process of the product, on embedded services and stand-ins, each one killable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

from sandbox.process import LOOPBACK, Child, free_port
from sandbox.services import Services

from .secrets import make_secrets

HOUSE = Path(__file__).resolve().parent.parent.parent
VERIFIER_CHAT_OWNER = 900_000_001
"""Of the channel where posts are compared; the operator, too, whom alarms wake."""

_CELERY = ("-m", "celery", "-A", "advertmarket")
_THREADS = ("--pool=threads", "--loglevel=INFO")


@dataclass(frozen=True)
class Role:
    """One process of the product: its arguments to Python, and PROCESS_ROLE if not its name."""

    name: str
    arguments: tuple[str, ...]
    process_role: str = ""


def _worker(queue: str, *, threads: int) -> tuple[str, ...]:
    return (
        *(*_CELERY, "worker", "--pool=threads", "--loglevel=INFO"),
        *(f"--queues={queue}", f"--concurrency={threads}"),
    )


ROLES = (
    Role("web", ("manage.py", "serve")),
    Role("worker", _worker("celery", threads=4)),
    Role("messenger", _worker("telegram", threads=4), process_role="worker"),
    Role("signer", _worker("signer", threads=2)),
    Role("beat", (*_CELERY, "beat", "--schedule={root}/beat.db", "--loglevel=INFO")),
    Role("consumer", ("manage.py", "consume", "--all")),
    Role("chain", ("manage.py", "read_chain")),
    Role("watch", ("manage.py", "watch")),
)
STAND_INS = ("ton", "telegram")


class Stack:
    """Start order: services, stand-ins, migrations and topics, then the product's processes.

    `kill` and `start_role` work on every process by its role, stand-ins included; for the services
    there is `services`. All state lies under `root`.
    """

    def __init__(self, root: Path, *, ephemeral: bool, settings: Mapping[str, str]) -> None:
        self.root = root.resolve()
        self.services = Services(self.root / "services", ephemeral=ephemeral)
        self.children: dict[str, Child] = {}
        self.ports = {name: free_port() for name in (*STAND_INS, "web")}
        self._metrics_ports = {role.name: free_port() for role in ROLES}
        self._secrets = make_secrets()
        self.settings = dict(settings)

    @property
    def web_url(self) -> str:
        """Where the product's web role listens."""
        return self._url("web")

    @property
    def ton_url(self) -> str:
        """The local chain, TON Center's API and control plane."""
        return self._url("ton")

    @property
    def telegram_url(self) -> str:
        """The local Telegram: Bot API, control plane and page."""
        return self._url("telegram")

    def metrics_url(self, role: str) -> str:
        """Where a process of the product shows its metrics."""
        return f"http://{LOOPBACK}:{self._metrics_ports[role]}"

    @property
    def env(self) -> dict[str, str]:
        """What every process of the product has in its environment; the mnemonic is not in it."""
        shared = {k: v for k, v in self._secrets.items() if k != "TON_WALLET_MNEMONIC"}
        return {
            **self.services.env,
            **shared,
            "PUBLIC_URL": self.web_url,
            "MINI_APP_URL": self.web_url,
            "WEB_PORT": str(self.ports["web"]),
            "TON_API_URL": self.ton_url,
            "TON_NETWORK": "testnet",
            "TELEGRAM_API_URL": self.telegram_url,
            "STATIC_ROOT": str(self.root / "static"),
            "KAFKA_SESSION_TIMEOUT_S": "6",
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def start_services(self) -> None:
        """Start PostgreSQL, Redis and Kafka, then the local chain and the local Telegram."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)  # the servers' account passes through to its own folder
        self.services.start()
        for name in STAND_INS:
            self.start_role(name)

    def install(self, operator: str, password: str) -> None:
        """Do what an operator does once: migrate, topics, epoch, static files, an operator.

        Raises:
            subprocess.CalledProcessError: it failed; its output is in the error.
        """
        self._run("-m", "sandbox.demo.install", operator, OPERATOR_PASSWORD=password)

    def start_product(self) -> None:
        """Start every process of the product and wait until the web role is ready."""
        for role in ROLES:
            self.start_role(role.name)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the web role says that it can serve."""
        self.children["web"].wait_until(self._is_ready, "readiness", timeout_s=60)

    def start_role(self, name: str, **changed: str) -> None:
        """Start one process, again after a kill; one of the product with a changed environment."""
        log = self.root / f"{name}.log"
        if name in STAND_INS:
            child = Child(
                name,
                [sys.executable, "-m", f"sandbox.{name}", *self._stand_in_options(name)],
                log=log,
                cwd=HOUSE,
            )
            child.wait_for_port(self.ports[name])
        else:
            role = next(role for role in ROLES if role.name == name)
            child = Child(
                name,
                [sys.executable, *(part.format(root=self.root) for part in role.arguments)],
                log=log,
                cwd=HOUSE,
                env=self._role_env(role) | changed,
            )
        self.children[name] = child

    def restart_role(self, name: str, **changed: str) -> None:
        """Stop one process in order and start it again, with a changed environment."""
        self.children[name].stop(timeout_s=45)
        self.start_role(name, **changed)

    def kill(self, name: str) -> None:
        """SIGKILL one process of the product, or one stand-in."""
        self.children[name].kill()

    def manage(self, *arguments: str, **extra: str) -> str:
        """Run a management command, with `extra` in its environment; return what it printed.

        Raises:
            subprocess.CalledProcessError: it failed; its output is in the error.
        """
        return self._run("manage.py", *arguments, **extra)

    def dead(self) -> list[str]:
        """Return the names of processes that ended by themselves."""
        ended = [name for name, child in self.children.items() if child.returncode is not None]
        return ended + self.services.dead()

    def stop(self) -> None:
        """Stop all in order: the product, then the stand-ins, then the services."""
        for name in [role.name for role in ROLES] + list(STAND_INS):
            if name in self.children:
                self.children[name].stop(timeout_s=45)
        self.services.stop()

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def _run(self, *arguments: str, **extra: str) -> str:
        env = {
            **os.environ,
            **self.env,
            "DJANGO_SETTINGS_MODULE": "advertmarket.settings",
            "PROCESS_ROLE": "manage",
            **extra,
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=HOUSE,
            env=env,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ).stdout

    def _role_env(self, role: Role) -> dict[str, str]:
        mnemonic = self._secrets["TON_WALLET_MNEMONIC"] if role.name == "signer" else ""
        return {
            **self.env,
            "PROCESS_ROLE": role.process_role or role.name,
            "TON_WALLET_MNEMONIC": mnemonic,
            "METRICS_PORT": str(self._metrics_ports[role.name]),
        }

    def _stand_in_options(self, name: str) -> list[str]:
        options = [
            f"--port={self.ports[name]}",
            f"--journal={self.root / f'{name}.journal'}",
        ]
        if name == "ton":
            return [*options, "--block-ms=500"]
        return [*options, f"--token={self._secrets['TELEGRAM_BOT_TOKEN']}"]

    def _is_ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.web_url}/actuator/health/readiness", timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK
