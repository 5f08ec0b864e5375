"""A TON Center by the book, for what no local chain does: whatever it says, as often as asked."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.process import LOOPBACK

HEAD = {"last": {"seqno": 7, "gen_utime": "1800000000"}}


@dataclass
class Answer:
    """What the server says to one call; after the last one it repeats itself."""

    body: Any = field(default_factory=lambda: HEAD)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False


class Server:
    """An HTTP server that answers by the book, in order, and counts."""

    def __init__(self) -> None:
        self.answers = [Answer()]
        self.by_method: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.done = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                method = self.path.split("?")[0].rsplit("/", 1)[1]
                outer.asked.append(method)
                answer = outer.by_method.get(method) or outer.next_answer()
                if answer.silent:
                    outer.done.wait(10)
                    self.close_connection = True
                    return
                raw = answer.body if isinstance(answer.body, bytes) else _json(answer.body)
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(raw)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{self._http.server_address[1]}"

    def next_answer(self) -> Answer:
        """What is said where no method has its own answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def stop(self) -> None:
        """Close the door."""
        self.done.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


class Sleeps:
    """Stands for the client's clock: notes what it would have slept, and goes on."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
