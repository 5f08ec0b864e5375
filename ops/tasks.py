"""The periodic work of operations: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

from celery import shared_task

from . import questions


@shared_task(name=questions.ANSWER, ignore_result=True)
def answer_operators() -> None:
    """Answer what operators asked the bot."""
    while questions.answer_next():
        pass
