"""Every door of the web role."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from .api.docs import DocsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("actuator/", include("ops.urls")),
    path("api/v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs", DocsView.as_view()),
    path("api/v1/", include("accounts.urls")),
    path("api/v1/", include("channels.urls")),
    path("api/v1/", include("deals.urls")),
    path("api/v1/", include("payments.urls")),
    path("api/v1/", include("advertmarket.telegram.urls")),
]

handler400 = "advertmarket.api.problems.bad_request"
handler404 = "advertmarket.api.problems.page_not_found"
handler500 = "advertmarket.api.problems.server_error"
