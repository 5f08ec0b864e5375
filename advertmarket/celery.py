"""Celery: the beat schedule, a line per task. The tables are the queues; tasks take no argument."""

from __future__ import annotations

import os
import uuid

from celery import Celery, Task
from celery.schedules import crontab
from celery.signals import beat_init, setup_logging, worker_init
from celery.worker import WorkController

from . import correlation, task_metrics
from .process import begin

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "advertmarket.settings")


class CorrelatedTask(Task[..., object]):
    """A task whose every run has a correlation id of its own, and is counted."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the task."""
        with correlation.bind(uuid.uuid4()), task_metrics.counted(self.name):
            return super().__call__(*args, **kwargs)


@setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Leave logging as settings.LOGGING made it: Celery does nothing once somebody listens."""


app = Celery("advertmarket", task_cls=CorrelatedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

DEFAULT_QUEUE = "celery"
"""Celery's own name for the queue of the money that needs no signature, and of the outbox."""

SIGNER_QUEUE = "signer"
"""The queue of the only processes that hold the mnemonic."""

TELEGRAM_QUEUE = "telegram"
"""The queue of what waits for Telegram: when it hangs, the money must not wait with it."""


@worker_init.connect
def begin_as_worker(sender: WorkController, **_: object) -> None:
    """Sign with the mnemonic and do nothing else, or do the rest without it."""
    queues = set(sender.app.amqp.queues.consume_from)
    begin("signer" if queues == {SIGNER_QUEUE} else "worker")


@beat_init.connect
def begin_as_beat(**_: object) -> None:
    """Only call for work."""
    begin("beat")


app.conf.task_routes = {
    "payments.tasks.execute_settlements": {"queue": SIGNER_QUEUE},
    "telegram.tasks.*": {"queue": TELEGRAM_QUEUE},
    "deals.tasks.request_payments": {"queue": TELEGRAM_QUEUE},
    "deals.tasks.post_due": {"queue": TELEGRAM_QUEUE},
    "deals.tasks.check_posts": {"queue": TELEGRAM_QUEUE},
    "ops.tasks.tick_signer": {"queue": SIGNER_QUEUE},
    "ops.tasks.tick_telegram": {"queue": TELEGRAM_QUEUE},
}
BEAT_SECONDS = {
    "api.tasks.forget_answers": 3600,
    "accounts.tasks.forget_sessions": 3600,
    "audit.tasks.seal": 10,
    "payments.tasks.prepare_wallets": 5,
    "payments.tasks.apply_deposits": 5,
    "payments.tasks.execute_settlements": 1,
    "payments.tasks.return_stale_partials": 60,
    "payments.tasks.remind": 300,
    "payments.tasks.watch_pause": 5,
    "messaging.tasks.relay_outbox": 1,
    "messaging.tasks.redeliver": 10,
    "telegram.tasks.handle_updates": 1,
    "telegram.tasks.send_messages": 1,
    "deals.tasks.request_payments": 5,
    "deals.tasks.follow_money": 5,
    "deals.tasks.end_overdue_deals": 10,
    "deals.tasks.post_due": 1,
    "deals.tasks.check_posts": 1,
    "telegram.tasks.watch_webhook": 60,
    "telegram.tasks.forget_old_rows": 3600,
    "messaging.tasks.delete_old_rows": 3600,
    "ops.tasks.answer_operators": 5,
    "ops.tasks.reconcile_newest": 60,
    "ops.tasks.forget_old_runs": 3600,
    "ops.tasks.tick": 10,
    "ops.tasks.tick_signer": 10,
    "ops.tasks.tick_telegram": 10,
}
"""How often each task runs when nothing wakes it."""

BEAT_DAILY = {
    "payments.tasks.sweep_commission": crontab(hour=2, minute=0),
    "ops.tasks.reconcile_everything": crontab(hour=3, minute=0),
}
"""What runs once a day, at its time in UTC."""

_ONCE_A_DAY_EXPIRES_S = 6 * 3600

app.conf.beat_schedule = {
    task: {"task": task, "schedule": float(seconds), "options": {"expires": max(5, seconds)}}
    for task, seconds in BEAT_SECONDS.items()
} | {
    task: {"task": task, "schedule": when, "options": {"expires": _ONCE_A_DAY_EXPIRES_S}}
    for task, when in BEAT_DAILY.items()
}
