"""The doors of operations."""

from __future__ import annotations

from django.urls import path

from .health import views
from .health.checks import CHECKS

urlpatterns = [
    path("health", views.health),
    path("health/liveness", views.liveness),
    path("health/readiness", views.readiness),
    *(path(f"health/{name}", views.component(name)) for name in CHECKS),
    path("info", views.info),
]
