"""What the Bot API answers when it refuses."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A refusal: `code` is the HTTP status and the `error_code`, as the real API has it."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        """Keep what `{"ok": false, …}` will say; `parameters` as in ResponseParameters."""
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def as_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        body: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad_request(description: str) -> ApiError:
    """Return a 400."""
    return ApiError(400, f"Bad Request: {description}")


def forbidden(description: str) -> ApiError:
    """Return a 403."""
    return ApiError(403, f"Forbidden: {description}")


def too_many_requests(retry_after_s: int) -> ApiError:
    """Return a 429 that asks to wait `retry_after_s` seconds."""
    return ApiError(
        429, f"Too Many Requests: retry after {retry_after_s}", retry_after=retry_after_s
    )
