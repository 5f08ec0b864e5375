"""The doors of operations."""

from __future__ import annotations

from django.urls import path

from . import health

urlpatterns = [
    path("health", health.health),
    path("health/liveness", health.liveness),
    path("health/readiness", health.readiness),
    path("info", health.info),
]
