"""A mail server to send alarms to, with TLS and a login if a test asks for them."""

from __future__ import annotations

import base64
import datetime as dt
import email
import email.policy
import ipaddress
import socketserver
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A certificate of 127.0.0.1, which signed itself, and its key: files in PEM."""

    public: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        """What a server with this certificate speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.public, self.key)
        return context


def make_certificate(directory: Path) -> Certificate:
    """Make one, good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's mail server")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate = Certificate(directory / "mail.crt", directory / "mail.key")
    certificate.public.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    certificate.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it is given, and refuses who is in `refused`.

    With `tls` it speaks TLS from the first byte; with `starttls` it offers to. `login` is the only
    (name, password) that it takes mail from. `heard` is every line that came in the clear.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailConversation)
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        self.tls: ssl.SSLContext | None = None
        self.starttls: ssl.SSLContext | None = None
        self.login: tuple[str, str] | None = None
        self.heard: list[bytes] = []

    @property
    def port(self) -> int:
        """Where it is, on the loopback interface."""
        return int(self.server_address[1])


class _MailConversation(socketserver.StreamRequestHandler):
    """As much of RFC 5321, 3207 and 4954 as a sender needs."""

    server: Mailbox

    def setup(self) -> None:
        """Take the connection of somebody who is not known yet."""
        super().setup()
        self._is_private = False
        self._is_known = self.server.login is None

    def handle(self) -> None:
        """Answer each line until the other side leaves, or cannot agree on TLS."""
        try:
            if self.server.tls:
                self._wrap(self.server.tls)
            self._say("220 ready")
            while line := self.rfile.readline():
                if not self._is_private:
                    self.server.heard.append(line)
                if not self._answer(line):
                    return
        except (ssl.SSLError, ConnectionError):
            pass

    def finish(self) -> None:
        """Close the connection, which may be another than the one that came."""
        super().finish()
        self.connection.close()

    def _answer(self, line: bytes) -> bool:
        word, *rest = line.decode().split()
        match [word.upper(), *rest]:
            case ["QUIT"]:
                self._say("221 bye")
                return False
            case ["STARTTLS"] if self.server.starttls:
                self._say("220 go on")
                self._wrap(self.server.starttls)
            case ["AUTH", "PLAIN", told]:
                wanted = "\0{}\0{}".format(*self.server.login or ("", ""))
                self._is_known = base64.b64decode(told).decode() == wanted
                self._say("235 welcome" if self._is_known else "535 no such name and password")
            case ["EHLO", _]:
                self._say(*self._offers())
            case ["DATA"]:
                self._say("354 go on")
                self.server.mails.append(self._read())
                self._say("250 fine")
            case ["MAIL", *_] if not self._is_known:
                self._say("530 who are you?")
            case [("rcpt" | "RCPT"), *_] if any(
                who in line.decode() for who in self.server.refused
            ):
                self._say("550 no such person")
            case _:
                self._say("250 fine")
        return True

    def _offers(self) -> list[str]:
        offers = ["at your service"]
        if self.server.starttls and not self._is_private:
            offers.append("STARTTLS")
        if self.server.login:
            offers.append("AUTH PLAIN")
        return [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]

    def _wrap(self, context: ssl.SSLContext) -> None:
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self._is_private = True

    def _read(self) -> EmailMessage:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
