"""`manage.py create_operator NAME`: a person for the back office."""

from __future__ import annotations

import getpass
import os
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts import services
from accounts.management.operators import PASSWORD_VARIABLE
from advertmarket.actors import Actor
from advertmarket.errors import DomainError


class Command(BaseCommand):
    """Asks for the password twice, or takes it from OPERATOR_PASSWORD."""

    help = "Create an operator of the back office."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The name, and how much the operator may do."""
        parser.add_argument("username")
        parser.add_argument("--superuser", action="store_true", help="may do everything")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the password and create the operator."""
        password = os.environ.get(PASSWORD_VARIABLE) or self._ask()
        try:
            validate_password(password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        try:
            with transaction.atomic():
                services.create_operator(
                    username=options["username"],
                    password=password,
                    superuser=options["superuser"],
                    actor=Actor.system("create_operator"),
                    at=timezone.now(),
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"operator {options['username']} created")

    def _ask(self) -> str:
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Again: "):
            raise CommandError("the passwords differ")
        return password
