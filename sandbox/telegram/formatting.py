"""Telegram's HTML parse mode, and the entities that it finds in plain text by itself.

Sources: https://core.telegram.org/bots/api#html-style; the errors' wording is TDLib's
(MessageEntity.cpp). Offsets and lengths count UTF-16 code units, as the Bot API's do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from sandbox.telegram.errors import bad_request
from sandbox.telegram.model import Json

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_CODE = ("code", "pre")
_STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")
_OPAQUE = ("text_link", "text_mention", "custom_emoji", *_CODE)
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot));?")
_ATTRIBUTE = re.compile(
    r"""\s*([^\s=>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""",
)
_URL = re.compile(
    r"(?:https?://|tg://)[^\s<>\"']+|(?<![\w@.])(?:[\w-]+\.)+"
    r"(?:com|org|net|io|me|ru|info|dev|app|ton|xyz|example)\b(?:/[^\s<>\"']*)?",
    re.IGNORECASE,
)
_PATTERNS = [
    ("url", _URL),
    ("email", re.compile(r"(?<![\w.])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("bot_command", re.compile(r"(?<![\w/@])/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?(?![\w/])")),
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z][A-Za-z0-9_]{3,31}(?!\w)")),
    ("hashtag", re.compile(r"(?<![\w#])#(?=\w*[^\W\d])\w{1,256}")),
    ("cashtag", re.compile(r"(?<![\w$])\$[A-Z]{1,8}(?!\w)")),
]


# start and end in code points, and the entity without offset and length
_Span = tuple[int, int, Json]


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


@dataclass
class _OpenTag:
    name: str
    attributes: dict[str, str]
    start: int  # in code points


def parse_html(source: str) -> tuple[str, list[Json]]:
    """Return the text and its entities, sorted as the Bot API sorts them.

    Raises:
        ApiError: 400, "can't parse entities: …".
    """
    text: list[str] = []
    found: list[_Span] = []
    open_tags: list[_OpenTag] = []
    position = 0
    while position < len(source):
        char = source[position]
        if char == "&" and (reference := _REFERENCE.match(source, position)):
            decimal, hexadecimal, name = reference.groups()
            number = int(decimal) if decimal else int(hexadecimal or "0", 16)
            decoded = _NAMED[name] if name else chr(number) if 0 < number < 0x110000 else ""
            text.extend(decoded or reference.group())
            position = reference.end()
        elif char != "<":
            text.append(char)
            position += 1
        elif source.startswith("</", position):
            position = _close(source, position, text, open_tags, found)
        else:
            position = _open(source, position, len(text), open_tags)
    if open_tags:
        raise _unparsable(
            f'Can\'t find end tag corresponding to start tag "{open_tags[-1].name}"',
        )
    return _trimmed("".join(text), found)


def plain(source: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Return the text and the entities as Telegram keeps them, given as the caller of the API did.

    Raises:
        ApiError: 400, an entity lies outside the text.
    """
    units = source.encode("utf-16-le")
    found = []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if start < 0 or end > len(units) // 2:
            raise bad_request("can't parse MessageEntity: entity ends after the end of the text")
        before = len(units[: 2 * start].decode("utf-16-le", "ignore"))
        inside = len(units[2 * start : 2 * end].decode("utf-16-le", "ignore"))
        kind = {k: v for k, v in entity.items() if k not in ("offset", "length")}
        if kind.get("type") == "text_link":
            kind["url"] = checked_url(kind["url"]) or kind["url"]
        found.append((before, before + inside, kind))
    return _trimmed(source, found)


def checked_url(url: str) -> str | None:
    """Return the URL as Telegram stores it (`http://` if it has no scheme, `/` if it has no path).

    None if it is not one.
    """
    url = url.strip()
    if re.match(r"(tg|ton|tonsite)://", url, re.IGNORECASE):
        return url
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc or " " in parts.netloc:
        return None
    host = parts.hostname or ""
    if "." not in host and host != "localhost":
        return None
    netloc = parts.netloc.lower()
    return urlunsplit(
        (parts.scheme.lower(), netloc, parts.path or "/", parts.query, parts.fragment)
    )


def _unparsable(reason: str) -> Exception:
    return bad_request(f"can't parse entities: {reason}")


def _byte_offset(source: str, position: int) -> int:
    return len(source[:position].encode())


def _open(source: str, begin: int, start: int, open_tags: list[_OpenTag]) -> int:
    """Read a start tag, return the position after it."""
    where = f"at byte offset {_byte_offset(source, begin)}"
    name_end = begin + 1
    while name_end < len(source) and source[name_end] != ">" and not source[name_end].isspace():
        name_end += 1
    if name_end == len(source):
        raise _unparsable(f"Unclosed start tag {where}")
    name = source[begin + 1 : name_end].lower()
    if name not in _TAGS:
        raise _unparsable(f'Unsupported start tag "{name}" {where}')
    attributes: dict[str, str] = {}
    position = name_end
    while True:
        while position < len(source) and source[position].isspace():
            position += 1
        if position == len(source):
            raise _unparsable(f"Unclosed start tag {where}")
        if source[position] == ">":
            break
        attribute = _ATTRIBUTE.match(source, position)
        if attribute is None:
            raise _unparsable(f'Empty attribute name in the tag "{name}" {where}')
        values = [value for value in attribute.groups()[1:] if value is not None]
        attributes[attribute.group(1).lower()] = _unescape(values[0]) if values else ""
        position = attribute.end()
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise _unparsable(f'Tag "span" must have class "tg-spoiler" {where}')
    open_tags.append(_OpenTag(name, attributes, start))
    return position + 1


def _close(
    source: str,
    begin: int,
    text: list[str],
    open_tags: list[_OpenTag],
    found: list[_Span],
) -> int:
    """Read an end tag, note its entity, return the position after it."""
    where = f"at byte offset {_byte_offset(source, begin)}"
    if not open_tags:
        raise _unparsable(f"Unexpected end tag {where}")
    end = source.find(">", begin)
    if end < 0:
        raise _unparsable(f"Unclosed end tag {where}")
    name = source[begin + 2 : end].strip().lower()
    tag = open_tags.pop()
    if name not in ("", tag.name):
        raise _unparsable(f'Unmatched end tag {where}, expected "</{tag.name}>", found "</{name}>"')
    if tag.start < len(text):
        kind = _entity(tag, "".join(text[tag.start :]))
        if kind is not None:
            found.append((tag.start, len(text), kind))
    return end + 1


def _entity(tag: _OpenTag, inner: str) -> Json | None:
    kind: Json = {"type": _TAGS[tag.name]}
    if tag.name == "a":
        url = tag.attributes.get("href") or inner
        if mention := re.fullmatch(r"tg://user\?id=(\d+)", url):
            return {"type": "text_mention", "user": {"id": int(mention.group(1))}}
        stored = checked_url(url)
        return None if stored is None else {**kind, "url": stored}
    if tag.name == "blockquote" and "expandable" in tag.attributes:
        return {"type": "expandable_blockquote"}
    if tag.name == "tg-emoji":
        return {**kind, "custom_emoji_id": tag.attributes.get("emoji-id", "")}
    if tag.name == "code" and tag.attributes.get("class", "").startswith("language-"):
        return {"type": "pre", "language": tag.attributes["class"].removeprefix("language-")}
    return kind


def _unescape(value: str) -> str:
    return _REFERENCE.sub(
        lambda match: (
            _NAMED[match[3]] if match[3] else chr(int(match[1]) if match[1] else int(match[2], 16))
        ),
        value,
    )


def _trimmed(text: str, found: list[_Span]) -> tuple[str, list[Json]]:
    """Strip the text, find what Telegram finds by itself, and count in UTF-16."""
    text = text.replace("\r", "")
    first = len(text) - len(text.lstrip())
    stripped = text.strip()
    spans: list[_Span] = []
    for start, end, kind in found:
        clipped = (max(start - first, 0), min(end - first, len(stripped)), kind)
        if clipped[0] < clipped[1] and stripped[clipped[0] : clipped[1]].strip():
            spans.append(clipped)
    spans = _unnested(spans)
    taken = [(s, e) for s, e, kind in spans if kind["type"] in _OPAQUE]
    for name, pattern in _PATTERNS:
        for match in pattern.finditer(stripped):
            start, end = match.start(), match.start() + len(match.group().rstrip(".,;:!?)"))
            if not any(start < e and s < end for s, e in taken):
                spans.append((start, end, {"type": name}))
                taken.append((start, end))
    spans.sort(key=lambda span: (span[0], -span[1]))
    entities = [
        {
            "offset": utf16_length(stripped[:start]),
            "length": utf16_length(stripped[start:end]),
            **kind,
        }
        for start, end, kind in spans
    ]
    return stripped, entities


def _unnested(spans: list[_Span]) -> list[_Span]:
    """Inside code there is no other entity, and no style around it.

    `<pre><code class="language-…">` is one entity.
    """
    kept: list[_Span] = []
    spans.reverse()  # tags close from the inside outwards: now an outer one precedes its equals
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        around = next((k for k in kept if k[2]["type"] in _CODE and k[0] <= span[0] < k[1]), None)
        if around is None:
            kept.append(span)
        elif "language" in span[2] and around[2]["type"] == "pre":
            around[2]["language"] = span[2]["language"]
    code = [(start, end) for start, end, kind in kept if kind["type"] in _CODE]
    return [piece for span in kept for piece in _without(span, code)]


def _without(span: _Span, code: list[tuple[int, int]]) -> list[_Span]:
    """Return the parts of a style outside of code; of other entities, the whole."""
    start, end, kind = span
    if kind["type"] not in _STYLES:
        return [span]
    pieces = []
    for code_start, code_end in code:
        if start <= code_start and code_end <= end:
            pieces.append((start, code_start, kind))
            start = code_end
    return [piece for piece in [*pieces, (start, end, kind)] if piece[0] < piece[1]]
