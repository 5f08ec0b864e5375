"""What an expression of PromQL asks for; promtool says whether it is one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STRING = re.compile(r'"[^"]*"')
_RANGE = re.compile(r"\[[^]]*\]")
_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", re.ASCII
)
_SELECTOR = re.compile(r"(?<![\w.])([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?\s*(\()?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each selected series' name and the labels that it is matched by."""
    bare = _GROUPING.sub("", _RANGE.sub("", _STRING.sub('""', expression)))
    for name, matchers, call in _SELECTOR.findall(bare):
        if not call and name.lower() not in _WORDS:
            yield name, set(_LABEL.findall(matchers))


def grouped(expression: str) -> set[str]:
    """Return the labels that an expression groups or matches by."""
    bare = _STRING.sub('""', expression)
    return {label.strip() for found in _GROUPING.findall(bare) for label in found.split(",")} - {""}
