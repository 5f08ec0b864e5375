"""The HTTP server: `/bot<token>/<method>`, `/file/bot<token>/…`, `/sim/…` and the page."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import sandbox.telegram.messages  # noqa: F401 - registers its methods
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.faults import Faults, SendingLimits
from sandbox.telegram.methods import METHODS, Described
from sandbox.telegram.params import Params, Upload
from sandbox.telegram.sim import ControlPlane
from sandbox.telegram.updates import WebhookDelivery
from sandbox.telegram.world import World

DEFAULT_TOKEN = "7000000001:AAsandbox-telegram-is-not-a-secret"
_PAGE = Path(__file__).with_name("page")
_PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class AnswerLost(Exception):
    """The connection is to be closed without an answer."""


class TelegramServer(ThreadingHTTPServer):
    """One bot's Telegram on a port of the loopback interface."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, world: World, *, port: int, retry_s: float, limits: bool) -> None:
        """Listen (port 0: a free one); `serve_forever` answers."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.world = world
        self.faults = Faults()
        self.limits = SendingLimits(enforced=limits)
        self.control = ControlPlane(world, self.faults, self.limits)
        self.delivery = WebhookDelivery(world, retry_s)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def call(self, name: str, params: Params) -> Any:
        """Run a method of the Bot API with whatever fault awaits it.

        Raises:
            ApiError: what it refuses.
            AnswerLost: the caller is not to hear of it.
        """
        method = METHODS.get(name)
        if method is None:
            raise ApiError(404, "Not Found")
        chat_id = params.text("chat_id")
        fault = self.faults.take(name, chat_id)
        result = None
        if fault is None or fault.executes:
            result = self._run(name, params)
        if fault is None:
            return result
        time.sleep(fault.delay_ms / 1000)
        if fault.lost:
            raise AnswerLost
        if fault.code:
            raise fault.error()
        return result if fault.executes else self._run(name, params)

    def _run(self, name: str, params: Params) -> Any:
        self.limits.check(name, params.text("chat_id"))
        with self.world as world:
            return METHODS[name](world, params)


@contextmanager
def serving(
    token: str = DEFAULT_TOKEN,
    *,
    port: int = 0,
    journal: Path | None = None,
    retry_s: float = 1,
    limits: bool = False,
) -> Iterator[TelegramServer]:
    """Run a Telegram in a thread of this process; the arguments are those of the command."""
    world = World(token, journal)
    server = TelegramServer(world, port=port, retry_s=retry_s, limits=limits)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="telegram")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.delivery.stop()
        server.server_close()
        world.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TelegramServer

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the path holds the token."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        path = unquote(split.path)
        try:
            if path in _PAGE_FILES:
                name, content_type = _PAGE_FILES[path]
                self._answer(200, (_PAGE / name).read_bytes(), content_type)
            elif path.startswith("/media/"):
                self._answer(200, self._file(path), "image/*")
            elif path.startswith("/sim/"):
                arguments = json.loads(body) if body else {}
                result = self.server.control.run(path.removeprefix("/sim/"), arguments)
                self._answer_json(200, {"ok": True, "result": result})
            elif path.startswith("/file/bot"):
                self._check(path.removeprefix("/file/bot").partition("/")[0])
                self._answer(200, self._file(path), "application/octet-stream")
            elif path.startswith("/bot"):
                self._bot_method(path, split.query, body)
            else:
                self._answer_json(404, ApiError(404, "Not Found").as_json())
        except ApiError as error:
            self._answer_json(error.code, error.as_json())
        except AnswerLost:
            self.close_connection = True

    def _bot_method(self, path: str, query: str, body: bytes) -> None:
        token, _, name = path.removeprefix("/bot").partition("/")
        self._check(token)
        params = _read_params(query, self.headers.get("Content-Type", ""), body)
        result = self.server.call(name.lower(), params)
        answer: dict[str, Any] = {"ok": True, "result": result}
        if isinstance(result, Described):
            answer |= {"result": result.result, "description": result.description}
        self._answer_json(200, answer)

    def _file(self, path: str) -> bytes:
        with self.server.world as world:
            media = world.media.get(path.rpartition("/")[2])
        if media is None:
            raise ApiError(404, "Not Found")
        return base64.b64decode(media.content)

    def _check(self, token: str) -> None:
        if not token.partition(":")[0].isdigit() or ":" not in token:
            raise ApiError(404, "Not Found")
        if token != self.server.world.token:
            raise ApiError(401, "Unauthorized")

    def _answer_json(self, status: int, body: Any) -> None:
        self._answer(status, json.dumps(body, ensure_ascii=False).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _read_params(query: str, content_type: str, body: bytes) -> Params:
    values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    files: dict[str, Upload] = {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            given = json.loads(body or b"{}")
        except ValueError as error:
            raise bad_request("can't parse JSON object") from error
        if not isinstance(given, dict):
            raise bad_request("object expected")
        values |= given
    elif kind == "multipart/form-data":
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            payload = part.get_payload(decode=True)
            content = payload if isinstance(payload, bytes) else b""
            file_name = part.get_filename()
            if file_name is None:
                values[name] = content.decode()
            else:
                files[name] = Upload(file_name, content, part.get_content_type())
    else:
        values |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Params(values, files)
