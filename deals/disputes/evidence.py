"""What counts as evidence, and its form. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from advertmarket.errors import Code, DomainError
from deals.models import DisputeEvidence

Kind = DisputeEvidence.Kind

OF_PARTIES = (Kind.SCREENSHOT, Kind.TEXT, Kind.LINK, Kind.TON_TX)
"""What a side may add; the rest the system finds by itself."""

MAX_TEXT, MAX_LINK = 4_000, 2_000
_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
_HASH = re.compile(r"[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?", re.ASCII)
_is_url = URLValidator(schemes=["http", "https"])


class EvidenceInvalid(DomainError):
    """The content is not of its kind's form."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("This cannot be kept as evidence: {problem}")

    def __init__(self, problem: Promise | str) -> None:
        super().__init__(problem=problem)


def check(kind: Kind, content: str) -> None:
    """Hold the content against the form of its kind; nothing is fetched.

    A SCREENSHOT is the `file_id` of a file that Telegram holds, a TON_TX the hash of a chain
    transaction in hex or base64.

    Raises:
        EvidenceInvalid: says what is wrong.
    """
    if not content.strip():
        raise EvidenceInvalid(_("it is empty."))
    if kind is Kind.SCREENSHOT and not _FILE_ID.fullmatch(content):
        raise EvidenceInvalid(_("a screenshot is the file_id of a file that Telegram holds."))
    if kind is Kind.TON_TX and not _HASH.fullmatch(content):
        raise EvidenceInvalid(_("a chain transaction is named by its hash."))
    if kind is Kind.LINK:
        try:
            _is_url(content)
        except ValidationError as error:
            raise EvidenceInvalid(_("a link begins with http:// or https://.")) from error
    if len(content) > (MAX_LINK if kind is Kind.LINK else MAX_TEXT):
        raise EvidenceInvalid(_("it is too long."))


def digest(content: str) -> str:
    """Return the SHA-256 of the content, as hex."""
    return hashlib.sha256(content.encode()).hexdigest()
