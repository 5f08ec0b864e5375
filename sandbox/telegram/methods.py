"""The Bot API's methods about the bot itself, chats and people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.telegram import media
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.model import Json
from sandbox.telegram.params import Params
from sandbox.telegram.updates import allow, confirm_updates
from sandbox.telegram.world import World

Method = TypeVar("Method", bound=Callable[[World, Params], Any])
METHODS: dict[str, Callable[[World, Params], Any]] = {}


class Described:
    """A result that comes with a description, as setWebhook's does."""

    def __init__(self, result: Any, description: str) -> None:
        """Keep both."""
        self.result = result
        self.description = description


def method(function: Method) -> Method:
    """Register `get_me` as getMe (the Bot API ignores the case of names)."""
    METHODS[function.__name__.replace("_", "")] = function
    return function


@method
def get_me(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getme."""
    return {
        **world.show_person(world.person(world.bot_id)),
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": True,
    }


@method
def set_webhook(world: World, params: Params) -> Described:
    """https://core.telegram.org/bots/api#setwebhook, of a local server: http is allowed."""
    url = params.text("url")
    if not url:
        return delete_webhook(world, params)
    if not url.startswith(("https://", "http://")):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    secret = params.text("secret_token")
    if not all(char.isascii() and (char.isalnum() or char in "_-") for char in secret):
        raise bad_request("secret token contains unallowed characters")
    settings = world.settings
    known = settings.webhook_url == url and settings.secret_token == secret
    settings.webhook_url = url
    settings.secret_token = secret
    settings.max_connections = min(max(params.integer("max_connections", 40), 1), 100)
    if not known:
        settings.last_error_date, settings.last_error_message = 0, ""
    allow(world, params)
    _drop_pending(world, params)
    world.save_settings()
    return Described(True, "Webhook is already set" if known else "Webhook was set")


@method
def delete_webhook(world: World, params: Params) -> Described:
    """https://core.telegram.org/bots/api#deletewebhook."""
    settings = world.settings
    known = bool(settings.webhook_url)
    settings.webhook_url = settings.secret_token = ""
    _drop_pending(world, params)
    world.save_settings()
    return Described(True, "Webhook was deleted" if known else "Webhook is already deleted")


@method
def get_webhook_info(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getwebhookinfo; never tells the secret."""
    settings = world.settings
    info: Json = {
        "url": settings.webhook_url,
        "has_custom_certificate": False,
        "pending_update_count": len(world.updates),
    }
    if settings.webhook_url:
        info |= {"max_connections": settings.max_connections, "ip_address": "127.0.0.1"}
    if settings.last_error_date:
        info |= {
            "last_error_date": settings.last_error_date,
            "last_error_message": settings.last_error_message,
        }
    if settings.allowed_updates:
        info["allowed_updates"] = settings.allowed_updates
    return info


@method
def get_updates(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#getupdates."""
    if world.settings.webhook_url:
        raise ApiError(
            409,
            "Conflict: can't use getUpdates method while webhook is active; "
            "use deleteWebhook to delete the webhook first",
        )
    allow(world, params)
    return confirm_updates(
        world,
        offset=params.integer("offset"),
        limit=params.integer("limit", 100),
        timeout_s=min(params.integer("timeout"), 50),
    )


@method
def set_my_commands(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setmycommands."""
    world.settings.commands[_commands_of(params)] = params.json_array("commands")
    world.save_settings()
    return True


@method
def get_my_commands(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#getmycommands."""
    return world.settings.commands.get(_commands_of(params), [])


@method
def delete_my_commands(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletemycommands."""
    world.settings.commands.pop(_commands_of(params), None)
    world.save_settings()
    return True


@method
def get_chat(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getchat."""
    chat = world.readable_chat(params.text("chat_id"))
    full: Json = {
        **world.show_chat(chat),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(
            (
                "unlimited_gifts",
                "limited_gifts",
                "unique_gifts",
                "premium_subscription",
                "gifts_from_channels",
            ),
            chat.type == "private",
        ),
    }
    if chat.username:
        full["active_usernames"] = [chat.username]
    if chat.description:
        full["description"] = chat.description
    if chat.protected:
        full["has_protected_content"] = True
    if world.has_right(chat, "can_invite_users"):
        full["invite_link"] = f"https://t.me/+{abs(chat.id):x}"
    if chat.type == "channel":
        full["has_visible_history"] = True
    pinned = [m for m in (world.message(chat, number) for number in chat.pinned) if m]
    if pinned:
        full["pinned_message"] = world.show_message(pinned[-1])
    return full


@method
def get_chat_member(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getchatmember; sure only for administrators."""
    chat = world.readable_chat(params.text("chat_id"))
    user_id = params.integer("user_id")
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    if chat.type == "private":
        raise bad_request("there are no members in the private chat")
    others = user_id != world.bot_id
    if others and chat.type == "channel" and not world.is_administrator(chat, world.bot_id):
        raise bad_request("member list is inaccessible")
    world.person(user_id)
    return world.membership(chat, user_id)


@method
def get_chat_administrators(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#getchatadministrators; other bots are left out."""
    chat = world.readable_chat(params.text("chat_id"))
    if chat.type == "private":
        raise bad_request("there are no administrators in the private chat")
    if chat.type == "channel" and not world.is_administrator(chat, world.bot_id):
        raise bad_request("member list is inaccessible")
    return [
        world.membership(chat, int(user_id))
        for user_id in chat.members
        if world.is_administrator(chat, int(user_id))
    ]


@method
def get_chat_member_count(world: World, params: Params) -> int:
    """https://core.telegram.org/bots/api#getchatmembercount."""
    chat = world.readable_chat(params.text("chat_id"))
    if chat.type == "private":
        return 2
    here = [m for m in chat.members.values() if m["status"] not in ("left", "kicked")]
    return chat.subscribers + len(here)


@method
def answer_callback_query(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#answercallbackquery; once, and not too late."""
    query = world.queries.get(params.text("callback_query_id"))
    if query is None or query.answer is not None:
        raise bad_request(
            "query is too old and response timeout expired or query ID is invalid",
        )
    query.answer = {
        "text": params.text("text"),
        "show_alert": params.flag("show_alert"),
        "url": params.text("url"),
    }
    world.queries.put(query)
    return True


@method
def get_file(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getfile."""
    file_id = params.text("file_id")
    if not file_id:
        raise bad_request("file_id not specified")
    try:
        found, file = media.find(world, file_id)
    except ApiError as error:
        raise bad_request("invalid file_id") from error
    return {
        "file_id": file_id,
        "file_unique_id": file["file_unique_id"],
        "file_size": file["file_size"],
        "file_path": f"{found.kind}s/{found.key}",
    }


def _commands_of(params: Params) -> str:
    scope = params.json_object("scope") or {"type": "default"}
    return f"{scope.get('type')}:{scope.get('chat_id', '')}:{params.text('language_code')}"


def _drop_pending(world: World, params: Params) -> None:
    if params.flag("drop_pending_updates"):
        for update in world.updates:
            world.updates.drop(update)
