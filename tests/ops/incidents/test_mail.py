"""Alerts by mail: under TLS, or not at all, and with the login that the settings have."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from ops.incidents.channels import NotDelivered, mail
from tests.ops.incidents.mailbox import Certificate, Mailbox, make_certificate

LOGIN = ("alarms", "a long password")


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """A certificate that this host trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.public))
    return certificate


@pytest.fixture
def login(mailbox: Mailbox, settings: Settings) -> None:
    """The server wants a name and a password, and the settings have them."""
    mailbox.login = LOGIN
    settings.ALERT_SMTP_USER, settings.ALERT_SMTP_PASSWORD = LOGIN


def deliver() -> None:
    mail.deliver("duty@example.org", "P1 · Ω", "It is so.", message_id="<alert-1@advertmarket>")


def not_delivered() -> tuple[str, bool]:
    """Try in vain; return what is said of it, and whether it may have arrived."""
    with pytest.raises(NotDelivered) as refused:
        deliver()
    return str(refused.value), refused.value.perhaps_sent


def received(mailbox: Mailbox) -> tuple[str, str, str, str]:
    """The only mail that came."""
    [message] = mailbox.mails
    text = message.get_content().strip()
    return (message["To"], message["Subject"], message["Message-ID"], text)


ALERT = ("duty@example.org", "P1 · Ω", "<alert-1@advertmarket>", "It is so.")


@pytest.mark.usefixtures("login")
def test_starttls_and_login(mailbox: Mailbox, trusted: Certificate, settings: Settings) -> None:
    settings.ALERT_SMTP_SECURITY = "starttls"
    mailbox.starttls = trusted.context

    deliver()

    assert received(mailbox) == ALERT
    assert [line.split()[0].upper() for line in mailbox.heard] == [b"EHLO", b"STARTTLS"]


@pytest.mark.usefixtures("login")
def test_tls_and_login(mailbox: Mailbox, trusted: Certificate, settings: Settings) -> None:
    settings.ALERT_SMTP_SECURITY = "tls"
    mailbox.tls = trusted.context

    deliver()

    assert received(mailbox) == ALERT
    assert mailbox.heard == []


def test_without_a_login_in_the_settings_none_is_tried(
    mailbox: Mailbox, trusted: Certificate, settings: Settings
) -> None:
    settings.ALERT_SMTP_SECURITY = "starttls"
    mailbox.starttls = trusted.context
    mailbox.login = LOGIN

    assert not_delivered() == (
        "SMTPSenderRefused: (530, b'who are you?', 'advertmarket@localhost')",
        False,
    )


@pytest.mark.usefixtures("login")
def test_a_server_that_offers_no_tls_gets_neither_password_nor_mail(
    mailbox: Mailbox, settings: Settings
) -> None:
    settings.ALERT_SMTP_SECURITY = "starttls"

    assert not_delivered() == (
        "SMTPNotSupportedError: STARTTLS extension not supported by server.",
        False,
    )

    assert mailbox.mails == []
    assert not any(b"AUTH" in line for line in mailbox.heard)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(
    mailbox: Mailbox, certificate: Certificate, settings: Settings, security: str
) -> None:
    settings.ALERT_SMTP_SECURITY = security
    setattr(mailbox, security, certificate.context)

    problem, perhaps_sent = not_delivered()

    assert problem.startswith("SSLCertVerificationError: ")
    assert not perhaps_sent
    assert mailbox.mails == []
    assert not any(b"AUTH" in line for line in mailbox.heard)


@pytest.mark.usefixtures("login")
def test_a_certificate_of_another_host_is_refused(
    mailbox: Mailbox, trusted: Certificate, settings: Settings
) -> None:
    settings.ALERT_SMTP_SECURITY = "tls"
    settings.ALERT_SMTP_HOST = "localhost"
    mailbox.tls = trusted.context

    problem, perhaps_sent = not_delivered()

    assert "Hostname mismatch" in problem
    assert not perhaps_sent
    assert mailbox.mails == []


@pytest.mark.usefixtures("login")
def test_a_password_that_the_server_refuses(
    mailbox: Mailbox, trusted: Certificate, settings: Settings
) -> None:
    settings.ALERT_SMTP_SECURITY = "starttls"
    settings.ALERT_SMTP_PASSWORD = "another"
    mailbox.starttls = trusted.context

    problem, perhaps_sent = not_delivered()

    assert problem == "SMTPAuthenticationError: (535, b'no such name and password')"
    assert not perhaps_sent
    assert mailbox.mails == []
