"""People of the back office, who all have one password."""

from __future__ import annotations

from django.contrib.auth.models import Permission
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from accounts.models import Operator
from advertmarket.actors import Actor
from tests.environment import PASSWORD

HIRING = Actor.system("test")


def hire(name: str, *permissions: str, superuser: bool = False) -> int:
    """Make an operator with these permissions; return the primary key."""
    with transaction.atomic():
        pk = accounts.create_operator(
            username=name, password=PASSWORD, superuser=superuser, actor=HIRING, at=timezone.now()
        )
    granted = Permission.objects.filter(codename__in=permissions)
    Operator.objects.get(pk=pk).user_permissions.set(granted)
    return pk
