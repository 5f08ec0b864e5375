"""The browsable page of the API, under the strict Content-Security-Policy."""

from __future__ import annotations

from drf_spectacular.views import SpectacularSwaggerSplitView


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files, without inline scripts or styles."""

    template_name = "api/docs.html"
