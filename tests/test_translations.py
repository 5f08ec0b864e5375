"""Every string that is marked for people has its Russian words, with the same placeholders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from django.utils import translation

HOUSE = Path(__file__).resolve().parent.parent
APPS = ("advertmarket", "accounts", "payments", "channels", "deals", "notifications", "ops")
KEYWORDS = {"_": None, "gettext": None, "gettext_lazy": None}
_PLACEHOLDER = re.compile(r"\{[a-z_]*\}|%[sd]|</?[a-z]+>")


def marked() -> set[str]:
    found = (extract_from_dir(HOUSE / app, keywords=KEYWORDS) for app in APPS)
    return {str(text) for app in found for _file, _line, text, _comments, _context in app}


def translated() -> dict[str, str]:
    with (HOUSE / "locale/ru/LC_MESSAGES/django.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file) if m.id and not m.fuzzy}


def test_every_marked_string_has_russian_words() -> None:
    russian = translated()

    assert sorted(text for text in marked() if not russian.get(text)) == []


def test_no_translation_is_left_over() -> None:
    assert sorted(translated().keys() - marked()) == []


@pytest.mark.parametrize(("english", "russian"), translated().items())
def test_placeholders_and_tags_survive(english: str, russian: str) -> None:
    assert sorted(_PLACEHOLDER.findall(english)) == sorted(_PLACEHOLDER.findall(russian))


def test_compiled_translations_are_those_of_the_file() -> None:
    with translation.override("ru"):
        stale = {
            text for text, russian in translated().items() if translation.gettext(text) != russian
        }

    assert stale == set(), "run: make messages"
