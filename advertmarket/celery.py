"""Celery: the beat schedule, a line per task. The tables are the queues; tasks take no argument."""

from __future__ import annotations

import os
import uuid

from celery import Celery, Task
from celery.signals import setup_logging

from . import correlation

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "advertmarket.settings")


class CorrelatedTask(Task[..., object]):
    """A task whose every run has a correlation id of its own."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the task."""
        with correlation.bind(uuid.uuid4()):
            return super().__call__(*args, **kwargs)


@setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Leave logging as settings.LOGGING made it: Celery does nothing once somebody listens."""


app = Celery("advertmarket", task_cls=CorrelatedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

SIGNER_QUEUE = "signer"
"""The queue of the only processes that hold the mnemonic."""

app.conf.task_routes = {"payments.tasks.execute_settlements": {"queue": SIGNER_QUEUE}}
app.conf.beat_schedule = {
    "forget_answers": {"task": "api.tasks.forget_answers", "schedule": 3600.0},
    "forget_sessions": {"task": "accounts.tasks.forget_sessions", "schedule": 3600.0},
    "prepare_wallets": {"task": "payments.tasks.prepare_wallets", "schedule": 5.0},
    "apply_deposits": {"task": "payments.tasks.apply_deposits", "schedule": 5.0},
    "execute_settlements": {
        "task": "payments.tasks.execute_settlements",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "relay_outbox": {"task": "messaging.tasks.relay_outbox", "schedule": 1.0},
    "handle_updates": {
        "task": "telegram.tasks.handle_updates",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "send_messages": {
        "task": "telegram.tasks.send_messages",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "request_payments": {"task": "deals.tasks.request_payments", "schedule": 5.0},
    "follow_money": {"task": "deals.tasks.follow_money", "schedule": 5.0},
    "end_overdue_deals": {"task": "deals.tasks.end_overdue_deals", "schedule": 10.0},
    "post_due": {"task": "deals.tasks.post_due", "schedule": 1.0, "options": {"expires": 5}},
    "check_posts": {"task": "deals.tasks.check_posts", "schedule": 1.0, "options": {"expires": 5}},
    "watch_webhook": {"task": "telegram.tasks.watch_webhook", "schedule": 60.0},
    "forget_updates": {"task": "telegram.tasks.forget_old_rows", "schedule": 3600.0},
    "delete_old_messages": {"task": "messaging.tasks.delete_old_rows", "schedule": 3600.0},
}
