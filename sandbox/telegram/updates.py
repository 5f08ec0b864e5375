"""Getting updates to the bot: the webhook with its repetitions, and getUpdates.

As the Bot API server does it (WebhookActor.cpp): in order per chat, chats side by side; any 2xx
settles; the first failure is repeated at once, later ones after growing delays up to a random 60
to 120 s, or after what Retry-After asks; given up after 24 h.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict, deque
from heapq import heappop, heappush
from queue import SimpleQueue

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
    """Threads that bring the updates to the webhook: one sees what is due, the others post."""

    def __init__(self, world: World, retry_s: float = 1) -> None:
        """Start them; the delay after the second failure is twice `retry_s`, then it doubles."""
        self._world = world
        self._retry_s = retry_s
        self._queues: defaultdict[int, deque[Update]] = defaultdict(deque)
        self._due: list[tuple[float, int]] = []  # a heap: when, which queue; none while it posts
        self._loaded_id = 0
        self._stopping = False
        self._client = httpx.Client(timeout=_ANSWER_WITHIN_S, trust_env=False)
        self._work: SimpleQueue[tuple[str, str, Update]] = SimpleQueue()
        for target in (self._dispatch, *[self._deliver] * _WORKERS):
            threading.Thread(target=target, name="webhook", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing new; an update under way may be delivered again after the next start."""
        with self._world.lock:
            self._stopping = True
            self._world.changed.notify_all()
        self._client.close()

    def _dispatch(self) -> None:
        world = self._world
        with world.lock:
            while not self._stopping:
                self._load()
                settings = world.settings
                now = time.time()
                while settings.webhook_url and self._due and self._due[0][0] <= now:
                    _, queue = heappop(self._due)
                    update = self._queues[queue][0]
                    if world.updates.get(update.update_id) is None:
                        self._next(queue)  # dropped meanwhile
                    else:
                        self._work.put((settings.webhook_url, settings.secret_token, update))
                wait_s = self._due[0][0] - now if settings.webhook_url and self._due else None
                world.changed.wait(wait_s)

    def _load(self) -> None:
        """Take in the updates that came since the last time."""
        new = []
        for update in self._world.updates.newest():
            if update.update_id <= self._loaded_id:
                break
            new.append(update)
        for update in reversed(new):
            self._loaded_id = update.update_id
            self._queues[update.queue].append(update)
            if len(self._queues[update.queue]) == 1:
                heappush(self._due, (update.due_at, update.queue))

    def _next(self, queue: int) -> None:
        """Go on to the next update of this queue."""
        updates = self._queues[queue]
        updates.popleft()
        if updates:
            heappush(self._due, (updates[0].due_at, queue))
        else:
            del self._queues[queue]

    def _deliver(self) -> None:
        while True:
            url, secret, update = self._work.get()
            error, retry_after_s = self._post(url, secret, update)
            with self._world as world:
                if not error or world.updates.get(update.update_id) is None:
                    world.updates.drop(update)
                    self._next(update.queue)
                elif not self._stopping:
                    self._failed(update, error, retry_after_s)
                world.changed.notify_all()

    def _post(self, url: str, secret: str, update: Update) -> tuple[str, float]:
        """Deliver it once; return what went wrong (nothing if empty) and the asked delay."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
        try:
            answer = self._client.post(url, json=show(update), headers=headers)
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

    def _failed(self, update: Update, error: str, retry_after_s: float) -> None:
        """Note the error, and when to try again, if at all."""
        world = self._world
        now = time.time()
        world.settings.last_error_date = int(now)
        world.settings.last_error_message = error
        world.save_settings()
        delay_s = retry_after_s
        if not delay_s and update.attempts > 0:
            delay_s = min(self._retry_s * 2.0**update.attempts, random.uniform(*_CAP_S))
        if now + delay_s > update.created_at + KEPT_FOR_S:
            world.updates.drop(update)
            self._next(update.queue)
            return
        update.attempts += 1
        update.due_at = now + delay_s
        world.updates.put(update)
        heappush(self._due, (update.due_at, update.queue))
