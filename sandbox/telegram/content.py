"""What a call wants to send: text, captions, media, inline keyboards, checked as Telegram does."""

from __future__ import annotations

from sandbox.telegram import media
from sandbox.telegram.errors import bad_request
from sandbox.telegram.formatting import checked_url, parse_html, plain
from sandbox.telegram.model import Chat, Json, Media
from sandbox.telegram.params import Params, Upload
from sandbox.telegram.world import World

MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_CALLBACK_DATA_BYTES = 64
_BUTTON_ACTIONS = ("url", "callback_data", "web_app", "switch_inline_query", "copy_text")


def text_content(params: Params) -> Json:
    """Return `text`, its entities and link preview options.

    Raises:
        ApiError: 400: empty, too long, can't be parsed.
    """
    text, entities = formatted(
        params.text("text"), params.text("parse_mode"), params.json_array("entities")
    )
    if not text:
        raise bad_request("message text is empty")
    if len(text) > MAX_TEXT:
        raise bad_request("message is too long")
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    preview = params.json_object("link_preview_options")
    if params.flag("disable_web_page_preview"):
        preview = {"is_disabled": True}
    if preview:
        content["link_preview_options"] = preview
    return content


def caption_content(source: str, parse_mode: str, entities: list[Json]) -> Json:
    """Return `caption` and its entities; nothing if there is no text.

    Raises:
        ApiError: 400: too long, can't be parsed.
    """
    text, found = formatted(source, parse_mode, entities)
    if len(text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    content: Json = {"caption": text} if text else {}
    return {**content, "caption_entities": found} if found else content


def formatted(source: str, parse_mode: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Return text and entities as Telegram keeps them; of the parse modes only HTML is spoken.

    Raises:
        ApiError: 400, can't parse entities, unsupported parse_mode.
    """
    if parse_mode.lower() == "html":
        return parse_html(source)
    if parse_mode:
        raise bad_request("unsupported parse_mode")
    return plain(source, entities)


def file_to_send(world: World, kind: str, reference: str, upload: Upload | None) -> Media:
    """Return the file that a call names by `file_id`, or brings with it.

    Raises:
        ApiError: 400: none given, unknown, of another kind, an address (nothing is fetched here).
    """
    if upload is not None:
        return media.register(
            world,
            kind,
            file_name=upload.name,
            content=upload.content,
            mime_type=upload.mime_type,
        )
    if not reference:
        raise bad_request(f"there is no {kind} in the request")
    if reference.startswith(("http://", "https://")):
        raise bad_request("failed to get HTTP URL content")
    found, _ = media.find(world, reference)
    if found.kind != kind:
        wanted, got = kind.capitalize(), found.kind.capitalize()
        raise bad_request(f"can't use file of type {got} as {wanted}")
    return found


def keyboard(params: Params, chat: Chat) -> Json | None:
    """Return the inline keyboard as Telegram keeps it, None if there is none.

    Raises:
        ApiError: 400, a button is not valid.
    """
    markup = params.json_object("reply_markup")
    rows = markup.get("inline_keyboard")
    if rows is None:
        return None
    kept = [[_button(button, chat) for button in row] for row in rows]
    kept = [row for row in kept if row]
    return {"inline_keyboard": kept} if kept else None


def url_buttons_only(markup: Json | None) -> Json | None:
    """Return the keyboard that a forward keeps: one of nothing but links, else none."""
    buttons = [button for row in (markup or {}).get("inline_keyboard", []) for button in row]
    return markup if buttons and all("url" in button for button in buttons) else None


def _button(button: Json, chat: Chat) -> Json:
    if not button.get("text"):
        raise bad_request('can\'t parse inline keyboard button: Field "text" must be non-empty')
    actions = [name for name in _BUTTON_ACTIONS if button.get(name) is not None]
    if not actions:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    kept: Json = {"text": button["text"], actions[0]: button[actions[0]]}
    if "callback_data" in kept:
        size = len(str(kept["callback_data"]).encode())
        if not 1 <= size <= MAX_CALLBACK_DATA_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
    if "url" in kept:
        url = checked_url(str(kept["url"]))
        if url is None:
            raise bad_request(
                f"inline keyboard button URL '{kept['url']}' is invalid: Wrong HTTP URL"
            )
        kept["url"] = url
    if "web_app" in kept:
        if chat.type != "private":
            raise bad_request("BUTTON_TYPE_INVALID")
        url = str(kept["web_app"].get("url", ""))
        if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise bad_request(
                f"inline keyboard button Web App URL '{url}' is invalid: "
                "Only HTTPS links are allowed"
            )
    return kept
