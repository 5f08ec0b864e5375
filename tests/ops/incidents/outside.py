"""What alarms reach outside: a hook that is the dead man's switch too, and a mail server."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook(ThreadingHTTPServer):
    """Takes what is posted to it, and answers `status`; `asked` counts what only asks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HookRequest)
        self.status = 200
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.asked = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def posts(self) -> list[Any]:
        """What was posted, read."""
        return [json.loads(body) for body in self.bodies]


class _HookRequest(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            self.server.headers.append(dict(self.headers))
            self.server.bodies.append(body)
        self._answer()

    def do_GET(self) -> None:
        self.server.asked += 1
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass

    def _answer(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it is given, and refuses who is in `refused`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailConversation)
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()

    @property
    def port(self) -> int:
        """Where it is, on the loopback interface."""
        return int(self.server_address[1])


class _MailConversation(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        """Speak as much of RFC 5321 as a sender needs."""
        self._say("220 ready")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"QUIT":
                self._say("221 bye")
                return
            if word == b"DATA":
                self._say("354 go on")
                self.server.mails.append(self._read())
            refused = word == b"RCPT" and any(who in line.decode() for who in self.server.refused)
            self._say("550 no such person" if refused else "250 fine")

    def _read(self) -> EmailMessage:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Have a server serve in a thread."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
