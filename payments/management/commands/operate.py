"""`manage.py operate`: operations, asked for and approved in a terminal."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone, translation

from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError
from payments.models import OperatorRequest
from payments.operations import requests
from payments.operations.registry import Operation, all_operations
from payments.sending.receipts import patiently


class Command(BaseCommand):
    """The same door as the console's: permission, reason, second person, audit log.

    Whoever acts proves it with their password (asked for, or in OPERATOR_PASSWORD).
    """

    help = "Ask for an operation on money, or decide about what another operator asked for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and who does it."""
        what = parser.add_subparsers(dest="what", required=True)
        what.add_parser("list", help="what can be asked for, with the fields of its payload")
        what.add_parser("requests", help="what waits for a second person")
        ask = what.add_parser("ask", help="do it, or keep it for a second person")
        ask.add_argument("name")
        ask.add_argument("--payload", default="{}", help="JSON; amounts in nanoTON")
        ask.add_argument("--reason", required=True)
        for decision in ("approve", "reject"):
            decide = what.add_parser(decision, help=f"{decision} what another person asked for")
            decide.add_argument("request_id", type=UUID)
        for one in ("ask", "approve", "reject"):
            what.choices[one].add_argument("--operator", required=True, help="your username")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, or say in one line why not."""
        with translation.override("en"):
            try:
                getattr(self, f"_{options['what']}")(options)
            except DomainError as refusal:
                raise CommandError(str(refusal)) from refusal

    def _list(self, options: dict[str, Any]) -> None:
        for one in all_operations():
            print(f"{one.name}  {_fields(one)}  (second person: {one.four_eyes.value})")

    def _requests(self, options: dict[str, Any]) -> None:
        for request in requests.open_requests(at=timezone.now()):
            print(_line(request))

    def _ask(self, options: dict[str, Any]) -> None:
        try:
            payload = json.loads(options["payload"])
        except ValueError as broken:
            raise CommandError(f"--payload is not JSON: {broken}") from broken
        if not isinstance(payload, dict):
            raise CommandError("--payload is not a JSON object")
        actor = prove_operator(options["operator"])
        evidence = patiently(lambda: requests.look(options["name"], payload))
        with transaction.atomic():
            request = requests.ask(
                name=options["name"],
                payload=payload,
                reason=options["reason"],
                actor=actor,
                at=timezone.now(),
                evidence=evidence,
            )
        print(_line(request))

    def _approve(self, options: dict[str, Any]) -> None:
        actor = prove_operator(options["operator"])
        evidence = patiently(lambda: requests.look_again(options["request_id"]))
        with transaction.atomic():
            request = requests.approve(
                request_id=options["request_id"], actor=actor, at=timezone.now(), evidence=evidence
            )
        print(_line(request))

    def _reject(self, options: dict[str, Any]) -> None:
        actor = prove_operator(options["operator"])
        with transaction.atomic():
            request = requests.reject(
                request_id=options["request_id"], actor=actor, at=timezone.now()
            )
        print(_line(request))


def _fields(operation: Operation) -> str:
    fields = operation.payload.model_fields.items()
    return " ".join(name if field.is_required() else f"[{name}]" for name, field in fields)


def _line(request: OperatorRequest) -> str:
    return (
        f"{request.pk}  {request.state}  {request.action}  {json.dumps(request.payload)}"
        f"  until {request.expires_at:%H:%M} UTC, asked by operator {request.requested_by}:"
        f" {request.reason}"
    )
