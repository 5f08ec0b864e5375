"""JSON logs on standard error, one line each: correlation, role, no secret, addresses masked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from . import correlation

_BOT_TOKEN = re.compile(r"(?<![0-9])[0-9]{6,}:[A-Za-z0-9_-]{30,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_INIT_DATA_HASH = re.compile(r"\bhash=[0-9a-f]{64}")
_FRIENDLY = re.compile(
    r"(?<![A-Za-z0-9_-])([EUk0][Qf][A-Za-z0-9_-]{4})[A-Za-z0-9_-]{38}"
    r"([A-Za-z0-9_-]{4})(?![A-Za-z0-9_-])"
)
_RAW = re.compile(r"(?<![0-9a-fA-F:])((?:0|-1):[0-9a-fA-F]{4})[0-9a-fA-F]{56}([0-9a-fA-F]{4})\b")
_SHORTEST_SECRET = 8


def logging_config(*, role: str, level: str, secrets: Iterable[str]) -> dict[str, Any]:
    """Return the LOGGING of a process: every logger ends in one JSON handler at the root.

    `secrets` are the values that must never appear, whoever logs them.
    """
    processors: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.stdlib.ExtraAdder(),
        _Context(role),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "faults": {  # what was answered, the middleware has logged; this is for tracebacks
                "()": "django.utils.log.CallbackFilter",
                "callback": lambda record: bool(record.exc_info),
            }
        },
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": processors,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
                    Redaction(secrets),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.request": {"filters": ["faults"]},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "_granian": {"handlers": [], "level": level, "propagate": True},
            "granian.access": {"handlers": [], "level": level, "propagate": True},
        },
    }


class _Context:
    """Adds what every line says: the process's role and the correlation id."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        event["role"] = self._role
        event.setdefault("correlation_id", str(correlation.current()))
        event.pop("request", None)  # Django's request objects: their text holds query strings
        return event


class Redaction:
    """Takes secrets out of a finished line and masks TON addresses in it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled = {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets}
        long = sorted((each for each in spelled if len(each) >= _SHORTEST_SECRET), key=len)
        self._secrets = re.compile("|".join(map(re.escape, reversed(long)))) if long else None

    def __call__(self, _logger: object, _method: str, line: str | Mapping[str, Any]) -> str:
        """Return the line, fit to be kept."""
        text = str(line)
        if self._secrets is not None:
            text = self._secrets.sub("[secret]", text)
        text = _BOT_TOKEN.sub("[bot token]", text)
        text = _JWT.sub("[token]", text)
        text = _INIT_DATA_HASH.sub("hash=[hash]", text)
        text = _FRIENDLY.sub(r"\1…\2", text)
        return _RAW.sub(r"\1…\2", text)
