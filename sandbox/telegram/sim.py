"""The control plane `/sim/…`: JSON in, JSON out; see control.py for the client."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from sandbox.telegram import media, people
from sandbox.telegram.errors import bad_request
from sandbox.telegram.faults import Fault, Faults, SendingLimits
from sandbox.telegram.init_data import sign_init_data
from sandbox.telegram.model import Json, Message
from sandbox.telegram.world import World


class ControlPlane:
    """What a test, a demo or the page may do to the world; one method per path."""

    def __init__(self, world: World, faults: Faults, limits: SendingLimits) -> None:
        """Act on these."""
        self._world = world
        self._faults = faults
        self._limits = limits
        self._actions: dict[str, Callable[[Json], Any]] = {
            name.removeprefix("do_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def run(self, path: str, body: Json) -> Any:
        """Do what `/sim/<path>` says.

        Raises:
            ApiError: 400, it can't be done.
        """
        action = self._actions.get(path)
        if action is None:
            raise bad_request(f"no such action: {path}; there are {sorted(self._actions)}")
        try:
            return action(body)
        except (KeyError, TypeError) as error:
            raise bad_request(f"{path}: {type(error).__name__}: {error}") from error

    # -- people and chats

    def do_user(self, body: Json) -> Json:
        with self._world as world:
            return world.show_person(people.create_user(world, **body))

    def do_block(self, body: Json) -> bool:
        with self._world as world:
            people.set_blocked(world, body["user_id"], blocked=body.get("blocked", True))
        return True

    def do_deactivate(self, body: Json) -> bool:
        with self._world as world:
            people.delete_account(world, body["user_id"])
        return True

    def do_channel(self, body: Json) -> Json:
        with self._world as world:
            return world.show_chat(people.create_channel(world, **body))

    def do_change_channel(self, body: Json) -> Json:
        with self._world as world:
            chat = world.find_chat(body["chat_id"])
            for name in ("title", "username", "description", "protected", "subscribers"):
                if name in body:
                    setattr(chat, name, body[name])
            world.chats.put(chat)
            return world.show_chat(chat)

    def do_member(self, body: Json) -> Json:
        with self._world as world:
            chat = world.find_chat(body["chat_id"])
            user_id = body.get("user_id") or world.bot_id
            by = body.get("by") or _creator(chat.members)
            status = body["status"]
            member: Json = {"status": status}
            if status == "administrator":
                member = people.administrator(body.get("rights"))
            elif status == "kicked":
                member["until_date"] = 0
            elif status == "creator":
                member = dict(people.OWNER)
            people.set_member(world, chat, user_id, by, member)
            return world.membership(chat, user_id)

    # -- what people do

    def do_send(self, body: Json) -> Json:
        with self._world as world:
            chat = world.find_chat(body.get("chat_id") or body["user_id"])
            message = people.send(
                world,
                chat=chat,
                user_id=body["user_id"],
                text=body.get("text", ""),
                media_kind=body.get("media", ""),
                html=body.get("html", False),
            )
            return world.show_message(message)

    def do_press(self, body: Json) -> Json:
        with self._world as world:
            chat = world.find_chat(body.get("chat_id") or body["user_id"])
            button, query = people.press(
                world,
                chat=chat,
                message_id=body["message_id"],
                user_id=body["user_id"],
                label=body["button"],
            )
        if query is not None:
            with self._world as world:
                world.changed.wait_for(lambda: query.answer is not None, body.get("wait_s", 10))
        return {
            "button": button,
            "query_id": query.id if query else None,
            "answer": query.answer if query else None,
        }

    def do_edit(self, body: Json) -> Json:
        with self._world as world:
            message = self._message(body)
            if body.get("media"):
                people.replace_media(world, message, body["media"])
            people.edit(
                world,
                message,
                text=body.get("text"),
                buttons=body.get("buttons"),
                html=body.get("html", False),
            )
            return world.show_message(message)

    def do_delete(self, body: Json) -> bool:
        with self._world as world:
            people.delete(world, self._message(body))
        return True

    def do_forward(self, body: Json) -> Json:
        with self._world as world:
            chat = world.find_chat(body.get("to") or body["user_id"])
            message = self._message(body)
            return world.show_message(
                people.forward(world, message=message, chat=chat, user_id=body["user_id"])
            )

    def do_media(self, body: Json) -> Json:
        with self._world as world:
            file = media.register(
                world,
                body["kind"],
                file_name=body.get("file_name", ""),
                content=base64.b64decode(body.get("content", "")),
            )
            return media.show(file)

    def do_init_data(self, body: Json) -> str:
        with self._world as world:
            user = world.show_person(world.person(body["user_id"]))
        user.pop("is_bot")
        user["allows_write_to_pm"] = True
        return sign_init_data(
            self._world.token,
            user,
            auth_date=body.get("auth_date") or int(time.time()),
            start_param=body.get("start_param", ""),
        )

    # -- faults

    def do_fault(self, body: Json) -> bool:
        fault = Fault(**body)
        fault.chat_id = str(fault.chat_id)
        self._faults.order(fault)
        return True

    def do_clear_faults(self, body: Json) -> bool:
        self._faults.clear()
        return True

    def do_limits(self, body: Json) -> bool:
        self._limits.enforced = body["enforced"]
        return True

    # -- looking

    def do_state(self, body: Json) -> Json:
        with self._world as world:
            state = self._frame()
            for chat in state["chats"]:
                messages = world.messages_of(world.find_chat(chat["id"]))
                chat["messages"] = [self._show(message) for message in messages]
            return state

    def do_overview(self, body: Json) -> Json:
        """What the page's frame shows: of each chat only the last message."""
        with self._world as world:
            last = {m.chat_id: m for m in world.messages if not m.deleted}
            state = self._frame()
            for chat in state["chats"]:
                message = last.get(chat["id"])
                chat["last_message"] = self._show(message) if message else None
            return state

    def do_messages(self, body: Json) -> list[Json]:
        with self._world as world:
            chat = world.find_chat(body["chat_id"])
            messages = world.messages_of(chat)[-body.get("last", 0) :]
            return [self._show(message) for message in messages]

    def _frame(self) -> Json:
        """Return the state but for the messages."""
        world = self._world
        settings = world.settings
        return {
            "bot": world.show_person(world.person(world.bot_id)),
            "webhook": {
                "url": settings.webhook_url,
                "allowed_updates": settings.allowed_updates,
                "last_error_date": settings.last_error_date,
                "last_error_message": settings.last_error_message,
            },
            "pending_updates": [
                {"update_id": u.update_id, "kind": u.kind, "attempts": u.attempts}
                for u in world.updates
            ],
            "faults": self._faults.show(),
            "limits": self._limits.enforced,
            "commands": settings.commands,
            "users": [
                {
                    **world.show_person(person),
                    "started": person.started,
                    "blocked": person.blocked,
                    "deactivated": person.deactivated,
                }
                for person in world.people
                if not person.is_bot
            ],
            "chats": [
                {
                    **world.show_chat(chat),
                    "protected": chat.protected,
                    "members": [world.membership(chat, int(user_id)) for user_id in chat.members],
                    "pinned": chat.pinned,
                    "subscribers": chat.subscribers,
                }
                for chat in world.chats
            ],
        }

    def _show(self, message: Message) -> Json:
        shown = self._world.show_message(message)
        return {**shown, "by_bot": message.by_bot, "silent": message.silent}

    def _message(self, body: Json) -> Message:
        world = self._world
        chat = world.find_chat(body["chat_id"])
        return world.find_message(chat, body["message_id"], "change")


def _creator(members: Json) -> int:
    return next(int(u) for u, member in members.items() if member["status"] == "creator")
