"""What operations shows in the back office."""

from __future__ import annotations

from .incidents import admin

__all__ = ["admin"]
