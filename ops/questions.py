"""Operators' questions: kept by the bot's handler, answered by a worker in its own time."""

from __future__ import annotations

import datetime as dt
import html
import logging

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.selectors import OperatorView
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.telegram.outgoing import say
from advertmarket.wake import wake_after_commit

from .models import OperatorQuestion, ReconciliationResult, ReconciliationRun
from .reconciliation import AnotherRun, reconcile
from .situation import situation

logger = logging.getLogger(__name__)

ANSWER = "ops.tasks.answer_operators"
LEASE = dt.timedelta(minutes=15)
"""Longer than all the checks of the books take."""

_ATTEMPTS = 3
_LONGEST = 3_500
"""Telegram takes 4,096 characters, and what is escaped gets longer."""

_What = OperatorQuestion.What


@requires_transaction
def ask(
    *, what: OperatorQuestion.What, operator: OperatorView, chat_id: int, at: dt.datetime
) -> None:
    """Keep an operator's question; the answer goes to the chat."""
    OperatorQuestion.objects.create(
        what=what,
        operator_id=operator.id,
        chat_id=chat_id,
        language=operator.language,
        due_at=at,
        asked_at=at,
    )
    audit.record(
        actor=Actor.operator(operator.id),
        action=f"bot.{what.lower()}",
        object_type="chat",
        object_id=str(chat_id),
        before=None,
        after=None,
        at=at,
    )
    wake_after_commit(ANSWER)


def answer_next() -> bool:
    """Answer the oldest question that is due; return whether there was one."""
    question = _lease(timezone.now())
    if question is None:
        return False
    with translation.override(question.language):
        try:
            text = _answer(question)
        except Exception:
            logger.exception("an operator's question (%s) could not be answered", question.what)
            if question.attempts < _ATTEMPTS:
                return True  # once more, when the lease is over
            text = _("It could not be told; the log says why.")
    with transaction.atomic():
        mine = OperatorQuestion.objects.filter(pk=question.pk, attempts=question.attempts)
        if mine.delete()[0]:
            say(chat_id=question.chat_id, text=text, at=timezone.now())
    return True


def _lease(at: dt.datetime) -> OperatorQuestion | None:
    with transaction.atomic():
        due = OperatorQuestion.objects.select_for_update(skip_locked=True).filter(due_at__lte=at)
        question = due.order_by("pk").first()
        if question is not None:
            question.attempts += 1
            question.due_at = at + LEASE
            question.save(update_fields=["attempts", "due_at"])
    return question


def _answer(question: OperatorQuestion) -> str:
    if question.what == _What.STATUS:
        return _status(timezone.now())
    return _reconciliation(question.operator_id)


def _status(at: dt.datetime) -> str:
    """What needs a person, and the headlines in any case."""
    sections = situation(at=at)
    head = _("Needs a person: {count}").format(count=sum(one.needs_person for one in sections))
    lines = [
        f"{'❗' if one.needs_person else '•'} {one.name}: {one.says}"
        for one in sections
        if one.needs_person or one.headline
    ]
    return _shown(head, lines)


def _reconciliation(operator_id: int) -> str:
    """What every check of the books says now; the report is kept like any other."""
    asked_by = Actor.operator(operator_id)
    try:
        run = reconcile(ReconciliationRun.Kind.FULL, asked_by=asked_by, ask_chain=False)
    except AnotherRun as other:
        return str(other)
    if run.error:
        return _shown(_("The checks of the books could not run"), [run.error])
    results = list(run.results.order_by("number"))
    failed = [result for result in results if not result.passed]
    if not failed:
        return _("All {count} checks of the books passed, in {seconds} s.").format(
            count=len(results), seconds=f"{(run.finished_at - run.started_at).total_seconds():.0f}"
        )
    head = _("Checks of the books that FAILED: {failed} of {count}").format(
        failed=len(failed), count=len(results)
    )
    return _shown(head, [f"❗ {result.name}: {_said(result)}" for result in failed])


def _said(result: ReconciliationResult) -> str:
    if not result.rows:
        return result.error
    subject, problem = result.rows[0]
    return f"{result.found}, {subject}: {problem}"


def _shown(head: str, lines: list[str]) -> str:
    """A message in Telegram's HTML that is not too long for it."""
    text = "\n".join(lines)
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"<b>{html.escape(head)}</b>\n{html.escape(cut, quote=False)}"
