"""What operations shows in the back office."""

from __future__ import annotations

from .reconciliation import admin as reconciliation

__all__ = ["reconciliation"]
