"""What counts as an ad's content, what counts as a change of it, and what a draft must obey."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from advertmarket.telegram.content import Button, Entity, Media, Message
from deals.delivery.content import Content, Difference, compare, digest
from deals.delivery.draft import CreativeInvalid, Draft, Part, check_against_brief

MESSAGE = Message(
    message_id=7,
    chat_id=-100,
    text="Fresh coffee in our shop",
    entities=(
        Entity("bold", 0, 5),
        Entity("text_link", 13, 11, url="https://example.com/coffee"),
    ),
    media=(Media("PHOTO", "file-id", "unique-id"),),
    buttons=(Button("Order", url="https://example.com/order"),),
    date=datetime(2026, 1, 1, tzinfo=UTC),
)
CONTENT = Content.of(MESSAGE)
PHOTO, VIDEO, GIF, FILE = (Media(kind, "id") for kind in ("PHOTO", "VIDEO", "GIF", "DOCUMENT"))
ORDER = Button("Order", url="https://example.com/order")


def changed(**fields: Any) -> Content:
    return Content.of(dataclasses.replace(MESSAGE, **fields))


def test_content_is_text_links_files_and_buttons() -> None:
    assert (
        Content(
            text="Fresh coffee in our shop",
            links=("https://example.com/coffee",),
            media=("unique-id",),
            buttons=(("Order", "https://example.com/order"),),
        )
        == CONTENT
    )
    assert Content.from_json(CONTENT.to_json()) == CONTENT


@pytest.mark.parametrize(
    "fields",
    [
        {"message_id": 8, "chat_id": -200},
        {"entities": (*MESSAGE.entities, Entity("italic", 6, 6))},
        {"media": (Media("PHOTO", "another file_id", "unique-id"),)},
    ],
)
def test_place_formatting_and_file_ids_are_no_part_of_it(fields: dict[str, Any]) -> None:
    assert digest([changed(**fields)]) == digest([CONTENT])
    assert compare(CONTENT, changed(**fields)) is Difference.SAME


@pytest.mark.parametrize(
    "fields",
    [
        {"entities": (Entity("text_link", 13, 11, url="https://evil.example/"),)},
        {"entities": ()},
        {"media": (Media("PHOTO", "file-id", "another-unique-id"),)},
        {"media": ()},
        {"buttons": (Button("Order", url="https://evil.example/"),)},
        {"buttons": (Button("Buy", url="https://example.com/order"),)},
        {"buttons": ()},
        {"text": "Something else altogether"},
        {"text": ""},
    ],
)
def test_a_link_a_file_a_button_or_another_text_is_a_change(fields: dict[str, Any]) -> None:
    assert digest([changed(**fields)]) != digest([CONTENT])
    assert compare(CONTENT, changed(**fields)) is Difference.CHANGED


def test_a_text_that_differs_by_less_than_5_percent_is_slight() -> None:
    words = Content("word " * 40)
    assert compare(words, Content("word " * 39 + "wore ")) is Difference.SLIGHT
    assert compare(words, Content("word " * 36 + "news " * 4)) is Difference.CHANGED
    moved = Content("word " * 39 + "wore ", links=("https://example.com",))
    assert compare(words, moved) is Difference.CHANGED


def test_the_order_of_messages_counts() -> None:
    assert digest([CONTENT, Content("b")]) != digest([Content("b"), CONTENT])


@pytest.mark.parametrize(
    ("draft", "parts"),
    [
        (Draft("a", buttons=(ORDER,)), (Part("a", buttons=((ORDER,),)),)),
        (Draft("a", media=(PHOTO,)), (Part("a", (PHOTO,)),)),
        (Draft(media=(GIF,), buttons=(ORDER,)), (Part("", (GIF,), ((ORDER,),)),)),
        (Draft("a", media=(PHOTO, VIDEO)), (Part("a", (PHOTO, VIDEO)),)),
        (
            Draft("a", media=(FILE, FILE), buttons=(ORDER,), buttons_text="b"),
            (Part("a", (FILE, FILE)), Part("b", (), ((ORDER,),))),
        ),
    ],
)
def test_a_draft_is_posted_in_one_or_two_calls(draft: Draft, parts: tuple[Part, ...]) -> None:
    draft.check()
    assert draft.parts == parts


@pytest.mark.parametrize(
    "draft",
    [
        Draft(),
        Draft("a", media=(PHOTO,) * 11),
        Draft("a", buttons=(ORDER,) * 6),
        Draft("a", media=(PHOTO, GIF)),
        Draft("a", media=(PHOTO, FILE)),
        Draft("a", media=(PHOTO, VIDEO), buttons=(ORDER,)),
        Draft("a", media=(PHOTO, VIDEO), buttons_text="b"),
        Draft("a", buttons=(ORDER,), buttons_text="b"),
    ],
)
def test_a_draft_that_cannot_be_posted_is_refused(draft: Draft) -> None:
    with pytest.raises(CreativeInvalid):
        draft.check()


def check(content: Content, **asked: Any) -> None:
    check_against_brief(((content,),), **{"links": (), "forbidden_words": (), **asked})


@pytest.mark.parametrize(
    "content",
    [
        Content("Read it at https://example.com/shop."),
        Content("(https://example.com/shop/)"),
        Content("Our shop", links=("https://example.com/shop",)),
        Content("Our shop", buttons=(("Shop", "https://example.com/shop/"),)),
    ],
)
def test_a_required_link_may_be_in_text_link_or_button(content: Content) -> None:
    check(content, links=("https://example.com/shop",))


@pytest.mark.parametrize("text", ["no link", "https://example.com/shopping", "example.com"])
def test_a_missing_link_is_named(text: str) -> None:
    with pytest.raises(CreativeInvalid, match=r"https://example\.com/shop"):
        check(Content(text), links=("https://example.com/shop",))


@pytest.mark.parametrize(
    "content",
    [
        Content("Best CASINO here"),
        Content("казино, Casino!"),
        Content("a", buttons=(("casino", "u"),)),
    ],
)
def test_a_forbidden_word_is_named(content: Content) -> None:
    with pytest.raises(CreativeInvalid, match="casino"):
        check(content, forbidden_words=("casino",))


def test_a_forbidden_word_inside_another_is_none() -> None:
    check(Content("occasinoal"), forbidden_words=("casino",))


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        (Content("я" * 4096), True),
        (Content("я" * 4097), False),
        (Content("a" * 1024, media=("x",)), True),
        (Content("a" * 1025, media=("x",)), False),
    ],
)
def test_texts_have_4096_characters_and_captions_1024(content: Content, fits: bool) -> None:
    if fits:
        check(content)
    else:
        with pytest.raises(CreativeInvalid):
            check(content)
