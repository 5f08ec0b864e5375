"""Files: their ids as the Bot API shows them, and what may be sent as what."""

from __future__ import annotations

import base64
import binascii
import secrets

from sandbox.telegram.errors import bad_request
from sandbox.telegram.model import Json, Media
from sandbox.telegram.world import World

KINDS = ("photo", "video", "animation", "document")
_PREFIX = {
    "photo": "AgACAgIAAxkB",
    "video": "BAACAgIAAxkB",
    "animation": "CgACAgIAAxkB",
    "document": "BQACAgIAAxkB",
}
_PREFIX_LENGTH = 12
_NONCE_BYTES = 6
_MIME = {"video": "video/mp4", "animation": "video/mp4", "document": "application/octet-stream"}
_PHOTO_SIZES = ((90, 51), (320, 180), (1280, 720))


def register(
    world: World, kind: str, *, file_name: str = "", content: bytes = b"", mime_type: str = ""
) -> Media:
    """Keep a new file and return it; equal bytes uploaded twice are two files.

    Raises:
        ApiError: 400, no such kind.
    """
    if kind not in KINDS:
        raise bad_request(f"unsupported media kind {kind}")
    token = secrets.token_urlsafe(9)
    size = len(content) or 1024 + secrets.randbelow(100_000)
    if kind == "photo":
        files = [
            {
                "file_unique_id": f"AQAD{token}{suffix}",
                "file_size": size * width // 1280 or 1,
                "width": width,
                "height": height,
            }
            for suffix, (width, height) in zip("smx", _PHOTO_SIZES, strict=True)
        ]
    else:
        file: Json = {"file_unique_id": f"AgAD{token}", "file_size": size}
        if kind != "document":
            file |= {"width": 1280, "height": 720, "duration": 5}
        file |= {"mime_type": mime_type or _MIME[kind]}
        if file_name:
            file["file_name"] = file_name
        files = [file]
    return world.media.put(Media(kind, files, base64.b64encode(content).decode()))


def show(media: Media) -> Json:
    """Return the part of a message that holds this file, with `file_id`s never used before.

    Different messages give one file different `file_id`s; its `file_unique_id` never changes.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    shown = [
        {"file_id": _file_id(media, index, nonce), **file} for index, file in enumerate(media.files)
    ]
    if media.kind == "photo":
        return {"photo": shown}
    if media.kind == "animation":  # documented: `document` is set too
        document = {k: v for k, v in shown[0].items() if k not in ("width", "height", "duration")}
        return {"animation": shown[0], "document": document}
    return {media.kind: shown[0]}


def find(world: World, file_id: str) -> tuple[Media, Json]:
    """Return what a `file_id` names, and which of its files.

    Raises:
        ApiError: 400, it names nothing.
    """
    try:
        raw = base64.b64decode(file_id[_PREFIX_LENGTH:], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    media = world.media.get(raw[_NONCE_BYTES + 1 :].rstrip(b"\0").decode("ascii", "replace"))
    if media is None or not file_id.startswith(_PREFIX[media.kind]):
        raise bad_request("wrong file identifier/HTTP URL specified")
    return media, media.files[raw[_NONCE_BYTES]]


def reissued(world: World, content: Json) -> Json:
    """Return a message's content for another message: the same files under other `file_id`s."""
    for kind in KINDS:  # an animation before its document
        if kind in content:
            shown = content[kind][-1] if kind == "photo" else content[kind]
            return {**content, **show(find(world, shown["file_id"])[0])}
    return content


def _file_id(media: Media, index: int, nonce: bytes) -> str:
    raw = nonce + bytes([index]) + media.key.encode()
    raw += b"\0" * (-len(raw) % 3)
    return _PREFIX[media.kind] + base64.urlsafe_b64encode(raw).decode()
