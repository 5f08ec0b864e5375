"""Whoever acts in a terminal proves who they are."""

from __future__ import annotations

import getpass

import pytest
from django.core.management import CommandError, call_command

from accounts.management.operators import SECOND_PASSWORD_VARIABLE, prove_operator
from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from tests.environment import PASSWORD
from tests.operators import hire

pytestmark = pytest.mark.django_db

COMMANDS: dict[str, dict[str, str | int]] = {
    "adopt_chain": {"second": "boris"},
    "confirm_epoch": {"reason": "x"},
    "db_activity": {"terminate": 1, "reason": "x"},
    "pause": {"reason": "x"},
    "resume": {"reason": "x"},
}


def test_a_name_with_its_password_is_an_operator() -> None:
    olga = hire("olga")

    assert prove_operator("olga") == Actor.operator(olga)


def test_the_password_is_asked_for_where_the_environment_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    olga = hire("olga")
    monkeypatch.delenv("OPERATOR_PASSWORD")
    monkeypatch.setattr(getpass, "getpass", {"Password of olga: ": PASSWORD}.__getitem__)

    assert prove_operator("olga") == Actor.operator(olga)


def test_a_second_person_s_password_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hire("boris")
    monkeypatch.setenv("OPERATOR_PASSWORD_SECOND", "wrong")

    with pytest.raises(CommandError, match="no active operator boris has this password"):
        prove_operator("boris", variable=SECOND_PASSWORD_VARIABLE)


def test_who_left_is_no_operator() -> None:
    hire("olga")
    Operator.objects.update(is_active=False)

    with pytest.raises(CommandError, match="no active operator olga has this password"):
        prove_operator("olga")


def test_a_permission_is_not_to_be_had_by_a_name() -> None:
    hire("eve", "operate_money")

    with pytest.raises(CommandError, match=r"may not do this: it takes payments\.approve_money"):
        prove_operator("eve", permission="payments.approve_money")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_without_its_password_does_nothing(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    hire("olga", superuser=True)
    hire("boris", superuser=True)
    monkeypatch.setenv("OPERATOR_PASSWORD", "wrong")
    before = AuditEntry.objects.count()

    with pytest.raises(CommandError, match="no active operator olga has this password"):
        call_command(command, operator="olga", **COMMANDS[command])

    assert AuditEntry.objects.count() == before
