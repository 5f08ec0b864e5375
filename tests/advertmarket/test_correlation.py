"""The correlation id: bound for a block, kept for a context, and one for each task's run."""

from __future__ import annotations

import threading
import uuid

from celery import shared_task

from advertmarket import correlation
from advertmarket.celery import app

seen: list[uuid.UUID] = []


@shared_task(name="tests.correlation.remember")
def remember() -> None:
    seen.append(correlation.current())
    seen.append(correlation.current())


def in_thread(*, bound: uuid.UUID | None = None) -> list[uuid.UUID]:
    ids: list[uuid.UUID] = []

    def run() -> None:
        if bound is None:
            ids.extend([correlation.current(), correlation.current()])
            return
        with correlation.bind(bound):
            ids.append(correlation.current())
        ids.append(correlation.current())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    return ids


def test_where_nobody_bound_one_a_new_one_stays() -> None:
    first, again = in_thread()

    assert first == again
    assert in_thread()[0] != first


def test_a_bound_one_ends_with_its_block() -> None:
    bound = uuid.uuid4()

    inside, after = in_thread(bound=bound)

    assert inside == bound
    assert after != bound


def test_blocks_nest() -> None:
    with correlation.bind(uuid.uuid4()) as outer:
        with correlation.bind(uuid.uuid4()) as inner:
            assert correlation.current() == inner
        assert correlation.current() == outer


def test_each_run_of_a_task_has_its_own() -> None:
    seen.clear()
    with correlation.bind(uuid.uuid4()) as outer:
        app.tasks["tests.correlation.remember"]()
        app.tasks["tests.correlation.remember"]()

    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert outer not in seen
