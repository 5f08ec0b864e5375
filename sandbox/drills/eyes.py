"""Everything that an operator looks at: health, metrics, alerts, incidents, alarms, pages."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
import psycopg

from deploy.prometheus import trial
from sandbox.demo.opening import OPERATOR
from sandbox.demo.stack import VERIFIER_CHAT_OWNER, Stack
from sandbox.telegram.control import Telegram

from .scrape import Scrape, fires, scrape, severity_of, written
from .script import POLL_S, Missing, Script, until

COMPONENTS = ("db", "redis", "kafka", "ton", "telegram", "workers", "outbox", "disk")

_OPEN = """
SELECT id, severity, cause, to_char(respond_by AT TIME ZONE 'UTC', 'HH24:MI') FROM incidents
 WHERE resolved_at IS NULL AND kind = %(kind)s AND starts_with(cause, %(cause)s)
"""


@dataclass(frozen=True)
class Incident:
    """An open incident, and until when somebody should have acknowledged it (UTC)."""

    number: int
    severity: str
    cause: str
    respond_by: str


class Eyes:
    """What is seen is told to the script; what is not seen in time raises `Missing`."""

    def __init__(self, stack: Stack, script: Script, password: str) -> None:
        self._stack = stack
        self.script = script
        self.patient = False
        """Whether incidents are waited for that open late only."""
        self.superuser: psycopg.Connection[tuple[Any, ...]] = stack.services.superuser()
        self._telegram = Telegram(stack.telegram_url)
        self._browser = httpx.Client(
            base_url=stack.web_url,
            timeout=20,
            follow_redirects=True,
            headers={"Accept-Language": "en"},
        )
        self._sign_in(password)
        self.baseline = scrape(stack)

    def __enter__(self) -> Eyes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._browser.close()
        self._telegram.close()
        self.superuser.close()

    def look_before(self) -> None:
        """Remember what is scraped now: alerts on what grows compare with it."""
        self.baseline = scrape(self._stack)

    # -- health

    def public(self, *, is_up: bool, within_s: float = 15) -> None:
        """Everybody is told UP, or DOWN."""
        word, code = ("UP", 200) if is_up else ("DOWN", 503)

        def look() -> str | None:
            with contextlib.suppress(httpx.HTTPError):
                answer = self._browser.get("/actuator/health")
                if (answer.status_code, answer.json()["status"]) == (code, word):
                    return f"{code} {answer.text}"
            return None

        told = until(look, f"/actuator/health never said {word}", within_s=within_s)
        if not is_up:
            self.script.symptom("health", told)

    def down(self, component: str, *words: str, within_s: float = 20) -> None:
        """An operator is told that a component is DOWN, in these words."""

        def look() -> str | None:
            status, problem = self.component(component)
            is_seen = status == "DOWN" and all(word in problem for word in words)
            return problem if is_seen else None

        try:
            problem = until(look, "", within_s=within_s)
        except Missing:
            told = self.component(component)
            raise Missing(
                f"/actuator/health/{component} does not say DOWN, {' … '.join(words)}: {told}"
            ) from None
        self.script.symptom(f"health/{component}", f"DOWN, {problem or 'without figures'}")

    def well(self, *components: str, within_s: float = 60) -> None:
        """These components, or all, are UP."""
        deadline = time.monotonic() + within_s
        for component in components or COMPONENTS:
            while (told := self.component(component))[0] != "UP":
                if time.monotonic() > deadline:
                    raise Missing(f"/actuator/health/{component} is not UP: {told[1]}")
                time.sleep(POLL_S)

    def component(self, name: str) -> tuple[str, str]:
        """Return a component's status and problem as an operator is told them."""
        try:
            answer = self._browser.get(f"/actuator/health/{name}")
            told = answer.json()
        except (httpx.HTTPError, ValueError) as away:
            return "", repr(away)
        return told["status"], told.get("details", {}).get("problem", "")

    # -- metrics and alerts

    def scrape(self) -> Scrape:
        """Return what all processes show now."""
        return scrape(self._stack)

    def total(self, name: str, **labels: str) -> float | None:
        """Return what all processes show under a name, added up."""
        return self.scrape().total(name, **labels)

    def metric(
        self,
        name: str,
        wanted: Callable[[float], bool],
        *,
        within_s: float = 30,
        **labels: str,
    ) -> float:
        """What the processes show under a name, added up, is as wanted."""
        shown = written(name, labels)

        def look() -> float | None:
            value = self.total(name, **labels)
            return value if value is not None and wanted(value) else None

        try:
            value = until(look, "", within_s=within_s)
        except Missing:
            now = self.total(name, **labels)
            raise Missing(f"the metric {shown} stayed at {now} for {within_s:.0f} s") from None
        self.script.symptom("metric", f"{shown} {value:g}")
        return value

    def alert(self, name: str, *labels: Mapping[str, str]) -> None:
        """Prometheus' rule fires at what is scraped now, once for each of these labels."""
        try:
            fires(name, self.baseline, self.scrape(), *(labels or ({},)))
        except trial.NoPromtool as reason:
            self.script.skip(f"alert {name}: {reason}")
        except trial.Refused as answer:
            raise Missing(f"the alert {name} does not fire: {answer}") from answer
        else:
            self.script.symptom("alert", f"{severity_of(name)} {name} fires at these figures")

    def quiet(self, *names: str, within_s: float = 30) -> None:
        """These rules soon do not fire any more at what is scraped."""
        for name in names:
            with contextlib.suppress(trial.NoPromtool):
                until(
                    functools.partial(self._is_quiet, name),
                    f"the alert {name} still fires",
                    within_s=within_s,
                )

    def _is_quiet(self, name: str) -> bool | None:
        now = self.scrape()
        try:
            fires(name, now, now)
        except trial.Refused:
            return None
        return True

    # -- incidents and alarms

    def incident(self, kind: str, key: str = "", *, within_s: float) -> Incident:
        """An incident of this kind is open, and its alarm has reached the operator in Telegram."""
        cause = f"{kind}:{key}" if key else kind

        def look() -> Incident | None:
            rows = self.superuser.execute(_OPEN, {"kind": kind, "cause": cause}).fetchall()
            return Incident(*rows[0]) if rows else None

        seen = until(look, f"no incident {cause} was opened", within_s=within_s)
        self.script.symptom(
            "incident",
            f"{seen.severity} {seen.cause}, number {seen.number}, to be answered by"
            f" {seen.respond_by} UTC",
        )
        alarm = until(
            lambda: self._alarm_of(seen), f"no alarm of incident {seen.number} came", within_s=20
        )
        self.script.symptom("alarm", f"in Telegram: {alarm}")
        return seen

    def incident_later(self, kind: str, *, after_s: float) -> None:
        """An incident is opened once its cause has held for so long; waited for if patient."""
        if self.patient:
            self.incident(kind, within_s=after_s + 75)  # some are looked for every 60 s
        else:
            self.script.symptom(
                "incident", f"{kind} is due {after_s:.0f} s after it was first seen"
            )

    def message(self, chat_id: int, *words: str, within_s: float = 30) -> str:
        """The bot has written these words into a chat; its last message that has them."""

        def look() -> str | None:
            for message in reversed(self._telegram.messages(chat_id)):
                text = message.get("text", "")
                if message.get("by_bot") and all(word in text for word in words):
                    return str(text)
            return None

        return until(look, f"no message with “{' … '.join(words)}” came", within_s=within_s)

    def _alarm_of(self, incident: Incident) -> str | None:
        for message in self._telegram.messages(VERIFIER_CHAT_OWNER):
            text = str(message.get("text", ""))
            if f"/admin/ops/incident/{incident.number}/" in text:
                return text.splitlines()[0]
        return None

    # -- what a terminal and the back office show

    def status(self, section: str, *words: str) -> None:
        """`manage.py status` marks a section: it needs a person, and says these words."""
        text = self._manage("status")
        marked = _section(text, section)
        if not marked.startswith("!") or not all(word in marked for word in words):
            raise Missing(
                f"manage.py status does not mark “{section}” with {words}: {marked or text}"
            )
        self.script.symptom("status", " ".join(marked.split())[:200])

    def page(self, path: str, *words: str) -> None:
        """A page of the back office shows these words."""
        text = self._browser.get(path).text
        if absent := [word for word in words if word not in text]:
            raise Missing(f"the page {path} does not show {absent}")
        self.script.symptom("page", f"{path} shows {', '.join(f'“{word}”' for word in words)}")

    def _manage(self, *command: str) -> str:
        try:
            return self._stack.manage(*command)
        except subprocess.CalledProcessError as failed:  # 1: something needs a person
            return str(failed.stdout)

    def _sign_in(self, password: str) -> None:
        self._browser.get("/admin/login/")
        form = {
            "username": OPERATOR,
            "password": password,
            "csrfmiddlewaretoken": self._browser.cookies.get("csrftoken", ""),
        }
        self._browser.post("/admin/login/?next=/admin/", data=form)
        if self.component("db")[0] != "UP":
            raise Missing("the operator could not sign in")


def _section(text: str, name: str) -> str:
    """A section of what `manage.py status` printed: its head, and the indented lines below it."""
    found: list[str] = []
    for line in text.splitlines():
        is_head = line[:2] in {"! ", "  "} and line[2:3] not in {" ", ""}
        if is_head:
            if found:
                break
            if line[2:].startswith(name):
                found.append(line)
        elif found:
            found.append(line)
    return "\n".join(found)
