"""Getting updates to the bot: the webhook with its repetitions, and getUpdates.

As the Bot API server does it (WebhookActor.cpp): in order per chat, chats side by side; any 2xx
settles; the first failure is repeated at once, later ones after growing delays up to a random 60
to 120 s, or after what Retry-After asks; given up after 24 h.
"""

from __future__ import annotations

import random
import threading
import time

import httpx

from sandbox.telegram.model import Json, Update
from sandbox.telegram.params import Params
from sandbox.telegram.world import UPDATE_TYPES, World

KEPT_FOR_S = 24 * 3600
_CAP_S = (60, 120)
_WORKERS = 8
_ANSWER_WITHIN_S = 60


def allow(world: World, params: Params) -> None:
    """Keep `allowed_updates` of a call; left out, the old ones stay; empty, the default."""
    if params.json("allowed_updates") is not None:
        asked = params.json_array("allowed_updates")
        world.settings.allowed_updates = [kind for kind in UPDATE_TYPES if kind in asked]
        world.save_settings()


def confirm_updates(world: World, *, offset: int, limit: int, timeout_s: float) -> list[Json]:
    """Forget the updates before `offset`, return the next ones, waiting for the first if needed."""
    if offset < 0:
        kept = [update.update_id for update in world.updates][offset:]
        offset = kept[0] if kept else 0
    for update in world.updates:
        if update.update_id < offset:
            world.updates.drop(update)
    world.changed.wait_for(lambda: len(world.updates) > 0, timeout_s)
    return [show(update) for update in list(world.updates)[: min(max(limit, 1), 100)]]


def show(update: Update) -> Json:
    """Return the Update object."""
    return {"update_id": update.update_id, update.kind: update.payload}


class WebhookDelivery:
    """Threads that bring the updates to the webhook."""

    def __init__(self, world: World, retry_s: float = 1) -> None:
        """Start them; the delay after the second failure is twice `retry_s`, then it doubles."""
        self._world = world
        self._retry_s = retry_s
        self._busy: set[int] = set()
        self._stopping = False
        self._client = httpx.Client(timeout=_ANSWER_WITHIN_S, trust_env=False)
        self._threads = [
            threading.Thread(target=self._work, name=f"webhook-{n}", daemon=True)
            for n in range(_WORKERS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; an update under way may be delivered again after the next start."""
        with self._world.lock:
            self._stopping = True
            self._world.changed.notify_all()
        self._client.close()

    def _work(self) -> None:
        while (update := self._next()) is not None:
            error, retry_after_s = self._post(update)
            with self._world:
                if not self._stopping:
                    self._settle(update, error, retry_after_s)
                self._busy.discard(update.queue)

    def _next(self) -> Update | None:
        """Wait for an update whose turn it is; None at the end."""
        world = self._world
        with world.lock:
            while not self._stopping:
                now = time.time()
                heads: dict[int, Update] = {}
                for update in world.updates if world.settings.webhook_url else ():
                    heads.setdefault(update.queue, update)
                free = [u for u in heads.values() if u.queue not in self._busy]
                due = [u for u in free if u.due_at <= now]
                if due:
                    self._busy.add(due[0].queue)
                    return due[0]
                world.changed.wait(min((u.due_at - now for u in free), default=None))
        return None

    def _post(self, update: Update) -> tuple[str, float]:
        """Deliver it once; return what went wrong (nothing if empty) and the asked delay."""
        settings = self._world.settings
        headers = {}
        if settings.secret_token:
            headers["X-Telegram-Bot-Api-Secret-Token"] = settings.secret_token
        try:
            answer = self._client.post(settings.webhook_url, json=show(update), headers=headers)
        except httpx.ConnectError:
            return "Connection refused", 0
        except httpx.TimeoutException:
            return "Read timeout expired", 0
        except (httpx.HTTPError, RuntimeError):
            return "Webhook connection closed", 0
        if answer.is_success:
            return "", 0
        asked = answer.headers.get("Retry-After", "")
        return (
            f"Wrong response from the webhook: {answer.status_code} {answer.reason_phrase}",
            min(float(asked), 3600) if asked.isdigit() else 0,
        )

    def _settle(self, update: Update, error: str, retry_after_s: float) -> None:
        world = self._world
        if world.updates.get(update.update_id) is None:
            return  # dropped meanwhile
        now = time.time()
        if not error:
            world.updates.drop(update)
            return
        world.settings.last_error_date = int(now)
        world.settings.last_error_message = error
        world.save_settings()
        delay_s = retry_after_s
        if not delay_s and update.attempts > 0:
            delay_s = min(self._retry_s * 2.0**update.attempts, random.uniform(*_CAP_S))
        if now + delay_s > update.created_at + KEPT_FOR_S:
            world.updates.drop(update)
            return
        update.attempts += 1
        update.due_at = now + delay_s
        world.updates.put(update)
