"""Alerts by mail, over the server that ALERT_SMTP_* name."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from django.conf import settings

from . import NotDelivered

LIMIT_S = 10.0
"""For each word of the conversation."""


def deliver(address: str, subject: str, text: str, *, message_id: str) -> None:
    """Mail it; the same `message_id` is the same mail to whoever reads it.

    Raises:
        NotDelivered: the server does not take it, or does not answer.
    """
    message = EmailMessage()
    message["From"], message["To"] = settings.ALERT_EMAIL_FROM, address
    message["Subject"], message["Message-ID"] = subject, message_id
    message.set_content(text)
    reached = False
    try:
        with _server() as server:
            _introduce(server)
            reached = True
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        raise NotDelivered(f"{address} was refused: {refused.recipients}") from refused
    except smtplib.SMTPResponseException as refused:
        raise NotDelivered(f"{type(refused).__name__}: {refused}") from refused
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}", perhaps_sent=reached) from error


def _server() -> smtplib.SMTP:
    host, port = settings.ALERT_SMTP_HOST, settings.ALERT_SMTP_PORT
    if settings.ALERT_SMTP_SECURITY == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port, timeout=LIMIT_S, context=context)
    return smtplib.SMTP(host, port, timeout=LIMIT_S)


def _introduce(server: smtplib.SMTP) -> None:
    if settings.ALERT_SMTP_SECURITY == "starttls":
        server.starttls(context=ssl.create_default_context())
    if settings.ALERT_SMTP_USER:
        server.login(settings.ALERT_SMTP_USER, settings.ALERT_SMTP_PASSWORD)
