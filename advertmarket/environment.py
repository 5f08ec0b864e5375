"""The environment, read once: text in, typed values out, one clear line for what is wrong."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn

Network = Literal["mainnet", "testnet"]
"""The TON network that this installation serves."""

EX_CONFIG = 78
"""The exit code of a configuration error (sysexits.h); supervisors must not restart on it."""


def refuse(name: str, problem: str, hint: str = "") -> NoReturn:
    """End the process for what is wrong with a variable: one line, exit code 78."""
    advice = f" ({hint})" if hint else ""
    sys.stderr.write(f"advertmarket cannot start: {name} {problem}{advice}\n")
    raise SystemExit(EX_CONFIG)


class Environment:
    """Typed access to environment variables for one process role.

    A variable that the role requires and that is missing or malformed ends the process with exit
    code 78 and one line on standard error that names it and says how to make one.
    """

    def __init__(self, variables: Mapping[str, str], *, required: frozenset[str]) -> None:
        self._variables = variables
        self._required = required

    def text(self, name: str, default: str = "", *, hint: str = "") -> str:
        """Return the variable, or `default`; refuse to start if the role requires it."""
        value = self._variables.get(name, "").strip()
        if not value and name in self._required:
            refuse(name, "is missing", hint)
        return value or default

    def secret(self, name: str, *, min_bytes: int, hint: str = "") -> str:
        """Return a secret of at least `min_bytes` bytes (empty where the role needs none)."""
        value = self.text(name, hint=hint)
        return self._check_length(name, value, min_bytes, hint) if value else ""

    def secrets(self, name: str, *, min_bytes: int) -> list[str]:
        """Return the secrets of a comma-separated list; empty by default."""
        return [self._check_length(name, item, min_bytes, "") for item in self.items(name)]

    def key_256(self, name: str, *, hint: str = "") -> bytes:
        """Return 32 bytes from base64 (empty where the role needs none)."""
        value = self.text(name, hint=hint)
        return self._decode_key(name, value, hint) if value else b""

    def keys_256(self, name: str) -> list[bytes]:
        """Return the 32-byte keys of a comma-separated list in base64; empty by default."""
        return [self._decode_key(name, item, "") for item in self.items(name)]

    def number(self, name: str, default: int, *, minimum: int = 0) -> int:
        """Return a whole number of at least `minimum`."""
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or int(value) < minimum:
            refuse(name, f"must be a whole number of at least {minimum}")
        return int(value)

    def chat_id(self, name: str, *, hint: str = "") -> int:
        """Return the id of a Telegram chat (0 where the role needs none)."""
        value = self.text(name, "0", hint=hint)
        if not re.fullmatch(r"-?[0-9]{1,16}", value):
            refuse(name, "must be the number of a chat, such as -1001234567890", hint)
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        """Return a duration in seconds, above zero."""
        value = self.text(name, str(default))
        try:
            seconds = float(value)
        except ValueError:
            refuse(name, "must be a number of seconds")
        if not 0 < seconds < float("inf"):
            refuse(name, "must be a number of seconds above 0")
        return seconds

    def folder(self, name: str, default: str) -> str:
        """Return the path of a folder that there is."""
        value = self.text(name, default)
        if not Path(value).is_dir():
            refuse(name, "must be a folder that there is")
        return value

    def choice(self, name: str, default: str, *, among: Sequence[str]) -> str:
        """Return one of `among`."""
        value = self.text(name, default)
        if value not in among:
            refuse(name, f"must be one of {', '.join(among)}")
        return value

    def items(self, name: str, default: str = "") -> list[str]:
        """Return the items of a comma-separated list."""
        return [item.strip() for item in self.text(name, default).split(",") if item.strip()]

    def url(self, name: str, default: str) -> str:
        """Return an http(s) address without a trailing slash."""
        value = self.text(name, default).rstrip("/")
        if not value.startswith(("http://", "https://")):
            refuse(name, "must start with http:// or https://")
        return value

    def optional_url(self, name: str) -> str:
        """Return an http(s) address as it stands, or nothing."""
        return self.url(name, "") if self.text(name) else ""

    def _check_length(self, name: str, value: str, min_bytes: int, hint: str) -> str:
        if len(value.encode()) < min_bytes:
            refuse(name, f"is shorter than {min_bytes} bytes", hint)
        return value

    def _decode_key(self, name: str, value: str, hint: str) -> bytes:
        try:
            key = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            refuse(name, "is not base64", hint)
        if len(key) != 32:
            refuse(name, f"must be 32 bytes in base64, not {len(key)}", hint)
        return key
