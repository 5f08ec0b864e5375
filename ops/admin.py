"""The back office's pages of operations."""

from __future__ import annotations

from .incidents import admin as incidents
from .reconciliation import admin as reconciliation

__all__ = ["incidents", "reconciliation"]
