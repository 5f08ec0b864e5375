"""HTML in, text and entities out, as the Bot API returns them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.telegram.errors import ApiError
from sandbox.telegram.formatting import checked_url, parse_html, plain


@pytest.mark.parametrize(
    ("html", "text", "entities"),
    [
        ("<b>bold</b>", "bold", [("bold", 0, 4)]),
        ("<strong>a</strong><em>b</em>", "ab", [("bold", 0, 1), ("italic", 1, 1)]),
        ("<u>a</u><ins>b</ins>", "ab", [("underline", 0, 1), ("underline", 1, 1)]),
        ("<s>a</s> <del>b</del>", "a b", [("strikethrough", 0, 1), ("strikethrough", 2, 1)]),
        ("<tg-spoiler>a</tg-spoiler>", "a", [("spoiler", 0, 1)]),
        ('<span class="tg-spoiler">a</span>', "a", [("spoiler", 0, 1)]),
        ("<code>x &lt; y</code>", "x < y", [("code", 0, 5)]),
        ("<blockquote>q</blockquote>", "q", [("blockquote", 0, 1)]),
        ("<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", 0, 1)]),
        ("<B>case</b>", "case", [("bold", 0, 4)]),
        ("<b>a <i>b</i></b>", "a b", [("bold", 0, 3), ("italic", 2, 1)]),
        ("😀<b>x</b>", "😀x", [("bold", 2, 1)]),
        ("  <b> x</b> \n", "x", [("bold", 0, 1)]),
        ("&amp;&quot;&#33;&nbsp;&copy;", '&"!&nbsp;&copy;', []),
        ("<b></b>x", "x", []),
        ("<b>a<code>b</code>c</b>", "abc", [("bold", 0, 1), ("code", 1, 1), ("bold", 2, 1)]),
        ("<b><code>b</code></b>", "b", [("code", 0, 1)]),
        ("<code>b<i>c</i></code>", "bc", [("code", 0, 2)]),
        ("<code>/start @durov</code>", "/start @durov", [("code", 0, 13)]),
        ("/start now", "/start now", [("bot_command", 0, 6)]),
        ("ask @durov #ton $TON", "ask @durov #ton $TON",
         [("mention", 4, 6), ("hashtag", 11, 4), ("cashtag", 16, 4)]),
        ("see https://ton.org/a?b=1.", "see https://ton.org/a?b=1.", [("url", 4, 21)]),
        ("mail a@b.example", "mail a@b.example", [("email", 5, 11)]),
    ],
)  # fmt: skip
def test_html_becomes_text_and_entities(
    html: str, text: str, entities: list[tuple[str, int, int]]
) -> None:
    shown, found = parse_html(html)
    assert shown == text
    assert [(e["type"], e["offset"], e["length"]) for e in found] == entities


@pytest.mark.parametrize(
    ("html", "entity"),
    [
        (
            '<a href="https://Example.com">x</a>',
            {"offset": 0, "length": 1, "type": "text_link", "url": "https://example.com/"},
        ),
        (
            '<a href="https://e.com/?a=1&amp;b=2">x</a>',
            {"offset": 0, "length": 1, "type": "text_link", "url": "https://e.com/?a=1&b=2"},
        ),
        (
            "<a href='tg://user?id=42'>x</a>",
            {"offset": 0, "length": 1, "type": "text_mention", "user": {"id": 42}},
        ),
        (
            '<pre><code class="language-python">x</code></pre>',
            {"offset": 0, "length": 1, "type": "pre", "language": "python"},
        ),
        (
            '<tg-emoji emoji-id="5">👍</tg-emoji>',
            {"offset": 0, "length": 2, "type": "custom_emoji", "custom_emoji_id": "5"},
        ),
    ],
)
def test_entity_carries_its_argument(html: str, entity: dict[str, Any]) -> None:
    assert parse_html(html)[1] == [entity]


def test_link_without_a_valid_address_is_only_text() -> None:
    assert parse_html('<a href="nonsense">x</a>') == ("x", [])


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("é<p>x</p>", 'Unsupported start tag "p" at byte offset 2'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        (
            "<b>x</i>",
            'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"',
        ),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<a href", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_bad_html_is_refused_with_its_place(html: str, reason: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_html(html)
    assert caught.value.code == 400
    assert caught.value.description == f"Bad Request: can't parse entities: {reason}"


def test_given_entities_are_kept_in_utf16() -> None:
    text, entities = plain("😀 link", [{"type": "bold", "offset": 3, "length": 4}])
    assert (text, entities) == ("😀 link", [{"offset": 3, "length": 4, "type": "bold"}])


def test_given_entity_outside_the_text_is_refused() -> None:
    with pytest.raises(ApiError, match="entity ends after the end of the text"):
        plain("x", [{"type": "bold", "offset": 0, "length": 2}])


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://EXAMPLE.com/Path?Q#F", "https://example.com/Path?Q#F"),
        ("example.com", "http://example.com/"),
        ("HTTP://e.com:8080", "http://e.com:8080/"),
        ("tg://resolve?domain=durov", "tg://resolve?domain=durov"),
        ("ftp://example.com", None),
        ("just words", None),
        ("nodots", None),
    ],
)
def test_addresses_are_stored_in_one_form(url: str, stored: str | None) -> None:
    assert checked_url(url) == stored
