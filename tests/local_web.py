"""The product's WSGI application on a port of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server

from pytest_django import Settings

from advertmarket.wsgi import application


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def local_web(settings: Settings) -> Iterator[str]:
    """Serve it, and have PUBLIC_URL name it."""
    server = make_server("127.0.0.1", 0, application, handler_class=_Quiet)
    settings.PUBLIC_URL = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield settings.PUBLIC_URL
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
