"""A call of an API method: its parameters, what it may see, and how it may fail."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pytoniq_core import Cell

from sandbox.ton.accounts import ChainTransaction
from sandbox.ton.chain import Chain
from sandbox.ton.executor import NotAccepted
from sandbox.ton.messages import InvalidMessage, Message, parse_external, raw_address
from sandbox.ton.view import View


class ApiError(Exception):
    """What the caller is told instead of a result; `code` is also the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_MISSING: Any = object()


class Params:
    """Parameters from the query string and the JSON body. A wrong one is answered with 422."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) not in (None, "", [])

    def one(self, name: str, default: Any = _MISSING) -> Any:
        """Return a value as it came; the first one of a list."""
        if name not in self:
            if default is _MISSING:
                raise ApiError(422, f"{name}: field required")
            return default
        value = self._values[name]
        return value[0] if isinstance(value, list) and name != "stack" else value

    def many(self, name: str) -> list[str]:
        """Return the values of a parameter that may be repeated."""
        value = self._values.get(name)
        return (
            []
            if value is None
            else [str(one) for one in (value if isinstance(value, list) else [value])]
        )

    def integer(self, name: str, default: Any = _MISSING) -> int:
        """Return an integer."""
        value = self.one(name, default)
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise ApiError(422, f"{name}: not an integer: {value!r}") from error

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean."""
        return str(self.one(name, default)).lower() in ("true", "1")

    def address(self, name: str = "address") -> str:
        """Return an address in raw form."""
        return _address(str(self.one(name)))

    def addresses(self, name: str) -> list[str]:
        """Return the addresses of a parameter that may be repeated."""
        return [_address(value) for value in self.many(name)]

    def hash(self, name: str) -> bytes:
        """Return a hash given in hex, base64 or base64url."""
        text = str(self.one(name))
        try:
            return bytes.fromhex(text) if len(text) == 64 else _base64(text)
        except (ValueError, binascii.Error) as error:
            raise ApiError(422, f"{name}: not a hash: {text!r}") from error

    def boc(self, name: str) -> bytes:
        """Return the bytes of a base64 bag of cells."""
        try:
            return _base64(str(self.one(name)))
        except (ValueError, binascii.Error) as error:
            raise ApiError(422, f"{name}: not base64") from error

    def cell(self, name: str) -> Any | None:
        """Return the cell of a base64 bag of cells, None if it was not given."""
        if name not in self:
            return None
        try:
            return Cell.one_from_boc(self.boc(name))
        except ApiError:
            raise
        except Exception as error:  # the parser raises what it likes
            raise ApiError(422, f"{name}: not a bag of cells") from error


@dataclass(frozen=True)
class Call:
    """One call. `view` is what the API reads from; the last three fields are faults."""

    params: Params
    chain: Chain
    view: View
    node: View
    swallow: bool = False
    hold_blocks: int = 0
    unindexed: bool = False

    def send(self) -> Message:
        """Put the external message in parameter `boc` into the mempool.

        Raises:
            ApiError: it is none, or its account refuses it.
        """
        boc = self.params.boc("boc")
        with _told_by_lite_server(boc):
            if self.swallow:
                self.chain.try_external(boc)
                return parse_external(boc)
            return self.chain.accept(boc, hold_blocks=self.hold_blocks)

    def emulate(self, boc: bytes, *, check_signature: bool) -> ChainTransaction:
        """Execute an external message without any effect.

        Raises:
            ApiError: its account refuses it.
        """
        with _told_by_lite_server(boc):
            return self.chain.try_external(boc, check_signature=check_signature)


Methods = dict[str, Callable[[Call], Any]]


@contextmanager
def _told_by_lite_server(boc: bytes) -> Iterator[None]:
    prefix = "LITE_SERVER_UNKNOWN: cannot apply external message to current state : "
    try:
        yield
    except InvalidMessage as error:
        text = f"failed to parse external message: {error}"
        raise ApiError(500, prefix + text) from error
    except NotAccepted as error:
        account = parse_external(boc).destination.split(":")[1].upper()
        text = "External message was not accepted\nCannot run message on account: inbound external "
        if error.exit_code is None:
            text += f"message rejected by account {account} before smart-contract execution"
        else:
            text += (
                f"message rejected by transaction {account}:\n"
                f"exitcode={error.exit_code}, steps=0, gas_used=0\n"
            )
        raise ApiError(500, prefix + text) from error


def _address(text: str) -> str:
    try:
        return raw_address(text)
    except ValueError as error:
        raise ApiError(422, f"incorrect address: {text!r}") from error


def _base64(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
