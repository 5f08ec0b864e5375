"""`manage.py operate`: the door of a terminal."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from payments.models import OperatorRequest, Settlement
from tests.payments.bank import Bank
from tests.payments.operations.desk import Desk, about, nothing_changes

pytestmark = pytest.mark.thorough


def operate(*words: str) -> None:
    call_command("operate", *words)


def ask(name: str, payload: object, by: str = "ann") -> None:
    operate("ask", name, "--payload", json.dumps(payload), "--reason", "at night", "--operator", by)


def test_every_operation_is_listed_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    operate("list")

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24
    assert "settlement.hold  settlement_id nano  (second person: never)" in lines
    assert "treasury.withdraw  nano [address]  (second person: always)" in lines
    assert "wallet.adopt_lost  subwallet address tx_hash nano  (second person: always)" in lines


def test_what_one_may_do_alone_is_done(
    desk: Desk, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = bank.payout_due()

    ask("settlement.hold", about(bank.settlement(reference)))

    assert bank.settlement(reference).state == "HELD"
    assert "DONE  settlement.hold" in capsys.readouterr().out


def test_what_needs_two_is_listed_and_approved(
    desk: Desk, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    settlement = desk.stuck_refund()
    ask("settlement.write_off", about(settlement, "settlement.write_off"))
    request = OperatorRequest.objects.get()
    capsys.readouterr()

    operate("requests")
    assert str(request.pk) in capsys.readouterr().out
    with pytest.raises(CommandError, match="You may not do this"):
        operate("approve", str(request.pk), "--operator", "ann")
    operate("approve", str(request.pk), "--operator", "boris")

    refund = bank.settlement(settlement.reference, Settlement.Kind.REFUND)
    assert refund.state == "CANCELLED"
    operate("requests")
    assert str(request.pk) in capsys.readouterr().out.splitlines()[0]


def test_what_another_asked_for_is_rejected(desk: Desk, bank: Bank) -> None:
    ask("settlement.write_off", about(desk.stuck_refund(), "settlement.write_off"))
    request = OperatorRequest.objects.get()

    operate("reject", str(request.pk), "--operator", "boris")

    assert OperatorRequest.objects.get().state == "REJECTED"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["ask", "wallet.melt", "--payload", "{}"], "cannot be asked for: wallet.melt"),
        (["ask", "wallet.freeze", "--payload", "{}"], "wallet.freeze: subwallet"),
        (["ask", "wallet.freeze", "--payload", "{"], "not JSON"),
        (["ask", "wallet.freeze", "--payload", "[]"], "not a JSON object"),
        (["ask", "wallet.freeze", "--payload", '{"subwallet": 99999}'], "no wallet 99999"),
        (["approve", str(uuid4())], "there is none"),
    ],
)
def test_a_refusal_is_one_line(desk: Desk, words: list[str], problem: str) -> None:
    reason = ["--reason", "at night"] if words[0] == "ask" else []
    with nothing_changes(), pytest.raises(CommandError, match=problem) as refusal:
        operate(*words, *reason, "--operator", "boris")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_a_wrong_password_does_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "ann":
        monkeypatch.setenv("OPERATOR_PASSWORD", "wrong")

    with nothing_changes(), pytest.raises(CommandError, match="has this password"):
        ask("wallet.freeze", {"subwallet": 0}, by=name)
