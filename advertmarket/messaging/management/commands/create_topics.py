"""Create Kafka's topics, or bring them up to date."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from advertmarket.messaging import kafka
from advertmarket.messaging.topics import TOPICS


class Command(BaseCommand):
    """`manage.py create_topics`: safe to run again, says what it changed."""

    help = "Make Kafka's topics agree with messaging/topics.py."

    def handle(self, *args: object, **options: object) -> None:
        """Create, grow and configure the topics."""
        for change in kafka.create_topics(TOPICS) or ["nothing to change"]:
            self.stdout.write(change)
