"""`manage.py incidents`: what is open, and answering for it, when neither bot nor admin works."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone, translation

from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError
from ops.incidents import alerts, services, text
from ops.incidents.causes import moment
from ops.incidents.follow import open_incidents
from ops.models import Incident
from payments.operations.requests import OPERATE


class Command(BaseCommand):
    """Needs PostgreSQL alone. What is done is audited with the name of the operator, who may act on
    money: whoever acknowledges silences an alarm."""

    help = "List the open incidents; acknowledge, assign or resolve one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and who does it."""
        what = parser.add_subparsers(dest="what")
        what.add_parser("list", help="what is open, the gravest first")
        what.add_parser("ack", help="answer for it: nobody else is told again")
        resolve = what.add_parser("resolve", help="close it, once its cause is gone")
        assign = what.add_parser("assign", help="say who works on it")
        for one in ("ack", "resolve", "assign"):
            what.choices[one].add_argument("incident_id", type=int, metavar="ID")
            what.choices[one].add_argument("--operator", required=True, help="your username")
        resolve.add_argument("--note", required=True, help="what it was, what you did")
        assign.add_argument("username", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, or say in one line why not."""
        with translation.override("en"):
            if options["what"] in {None, "list"}:
                self._list()
                return
            actor = prove_operator(options["operator"], permission=OPERATE)
            asked = {"incident_id": options["incident_id"], "actor": actor, "at": timezone.now()}
            try:
                with transaction.atomic():
                    if options["what"] == "ack":
                        incident = services.acknowledge(**asked)
                    elif options["what"] == "assign":
                        incident = services.assign(username=options["username"], **asked)
                    else:
                        incident = services.resolve(note=options["note"], **asked)
            except DomainError as refusal:
                raise CommandError(str(refusal)) from refusal
            self.stdout.write(_line(incident))

    def _list(self) -> None:
        if not alerts.recipients(level=0):
            self.stderr.write("nobody is told of alarms: link_operator, or ALERT_* in .env")
        found = list(open_incidents().order_by("severity", "opened_at"))
        for incident in found:
            self.stdout.write(_line(incident))
        if not found:
            self.stdout.write("no incident is open")


def _line(incident: Incident) -> str:
    state = "open, nobody has acknowledged it"
    if incident.resolved_at is not None:
        state = f"resolved: {incident.note}"
    elif incident.acknowledged_by is not None:
        state = f"acknowledged by {incident.acknowledged_by.get_username()}"
    if incident.resolved_at is None and incident.assignee is not None:
        state = f"{state}, assigned to {incident.assignee.get_username()}"
    gone = f", not seen since {moment(incident.gone_at)}" if incident.gone_at else ""
    return (
        f"{incident.pk}  {incident.severity}  {text.title_of(incident)}"
        f"  since {moment(incident.since_at)}{gone}  ({state})"
    )
