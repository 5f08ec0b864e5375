"""A proof answers what its own session was asked, once; what is remembered of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import proofs, services, vault
from accounts.models import Pii, ProofPayload, Session
from accounts.proofs import ProofPayloadUnknown
from accounts.selectors import PROVED_ADDRESS
from accounts.tasks import forget_sessions
from accounts.tokens import InvalidToken, TokenExpired
from accounts.ton_proof import InvalidTonProof
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from tests.accounts.launches import launch
from tests.accounts.wallets import ProvingWallet
from tests.database import Clone
from tests.payments.lines import before, line_of
from tests.payments.threads import Meanwhile, together

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
WALLET, OTHER_WALLET = ProvingWallet("ann"), ProvingWallet("ann's other")


def log_in(user_id: int = 42, at: datetime = AT) -> str:
    with transaction.atomic():
        return services.log_in(init_data=launch(user_id, at=at), at=at).token


def ask(token: str, at: datetime = AT) -> str:
    with transaction.atomic():
        return proofs.ask_for_proof(token=token, at=at).payload


def prove(
    token: str,
    payload: str,
    *,
    wallet: ProvingWallet = WALLET,
    at: datetime = AT,
    user_id: int = 42,
) -> None:
    with transaction.atomic():
        proofs.prove_address(
            token=token, proof=wallet.prove(payload, at=at), actor=Actor.user(user_id), at=at
        )


def proved(user_id: int = 42) -> object:
    return vault.read(user_id=user_id, field=PROVED_ADDRESS)


def nothing_is_proved() -> bool:
    return not Pii.objects.exists() and not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_a_proof_is_remembered_and_its_payload_used_up() -> None:
    token = log_in()

    prove(token, ask(token), at=AT + timedelta(minutes=1))

    assert proved() == {"address": WALLET.raw_address, "proved_at": "2026-01-01T12:01:00+00:00"}
    assert not ProofPayload.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("prove_address", "42")
    assert entry.after == {"address": services.mask_address(WALLET.raw_address)}


@pytest.mark.django_db
def test_payloads_differ_and_are_kept_as_digests_only() -> None:
    token = log_in()

    first, second = ask(token), ask(token)

    assert first != second
    assert len(first) == 43
    kept = [bytes(row.digest) for row in ProofPayload.objects.all()]
    assert [len(digest) for digest in kept] == [32, 32]
    assert first.encode() not in kept


@pytest.mark.django_db
def test_a_later_proof_takes_the_place_of_an_earlier_one() -> None:
    token = log_in()
    prove(token, ask(token))

    prove(token, ask(token), wallet=OTHER_WALLET)

    assert proved() == {
        "address": OTHER_WALLET.raw_address,
        "proved_at": "2026-01-01T12:00:00+00:00",
    }


@pytest.mark.django_db
def test_a_payload_counts_once() -> None:
    token = log_in()
    payload = ask(token)
    prove(token, payload)

    with pytest.raises(ProofPayloadUnknown):
        prove(token, payload, wallet=OTHER_WALLET)

    assert proved() == {"address": WALLET.raw_address, "proved_at": "2026-01-01T12:00:00+00:00"}


@pytest.mark.django_db
def test_a_payload_counts_for_15_minutes() -> None:
    token = log_in()
    first, second = ask(token), ask(token)

    with pytest.raises(ProofPayloadUnknown):
        prove(token, first, at=AT + QUARTER)
    assert nothing_is_proved()

    prove(token, second, at=AT + QUARTER - timedelta(microseconds=1))
    assert proved() is not None


@pytest.mark.django_db
@pytest.mark.parametrize("whose", ["another launch", "another user"])
def test_another_session_s_payload_is_refused_and_left(whose: str) -> None:
    mine = log_in()
    theirs = log_in(at=AT + timedelta(seconds=1)) if whose == "another launch" else log_in(43)
    payload = ask(theirs)

    with pytest.raises(ProofPayloadUnknown):
        prove(mine, payload)

    assert nothing_is_proved()
    assert ProofPayload.objects.count() == 1


@pytest.mark.django_db
def test_a_payload_that_nobody_asked_for_is_refused() -> None:
    token = log_in()

    with pytest.raises(ProofPayloadUnknown):
        prove(token, "x" * 43)

    assert nothing_is_proved()


@pytest.mark.django_db
def test_a_proof_that_proves_nothing_leaves_the_payload() -> None:
    token = log_in()
    payload = ask(token)
    bad = replace(WALLET.prove(payload, at=AT), public_key="")

    with pytest.raises(InvalidTonProof), transaction.atomic():
        proofs.prove_address(token=token, proof=bad, actor=Actor.user(42), at=AT)

    assert nothing_is_proved()
    prove(token, payload)
    assert proved() is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "at", "refusal"),
    [("x", AT, InvalidToken), (None, AT + timedelta(days=1), TokenExpired)],
)
def test_without_a_session_nothing_is_asked(
    token: str | None, at: datetime, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        ask(token or log_in(), at=at)

    assert not ProofPayload.objects.exists()


@pytest.mark.django_db
def test_payloads_are_forgotten_once_they_count_no_longer_or_with_their_session() -> None:
    token = log_in()
    ask(token)
    ask(token, at=AT + timedelta(seconds=1))

    with transaction.atomic():
        assert proofs.forget(at=AT + QUARTER) == 1
    assert ProofPayload.objects.count() == 1

    Session.objects.all().delete()
    assert not ProofPayload.objects.exists()


@pytest.mark.django_db
def test_the_hourly_task_forgets_them() -> None:
    now = timezone.now()
    token = log_in(at=now)
    ask(token, at=now - QUARTER)
    ask(token, at=now)

    forget_sessions()

    assert ProofPayload.objects.count() == 1
    assert Session.objects.count() == 1


REMEMBERS = line_of(proofs.prove_address, "vault.keep(")


def test_of_two_uses_at_once_one_counts(committed_db: Clone) -> None:
    token = log_in()
    payload = ask(token)

    uses = together(
        lambda: prove(token, payload), lambda: prove(token, payload, wallet=OTHER_WALLET)
    )

    errors = [use.exception() for use in uses]
    assert sorted(type(error).__name__ for error in errors) == ["NoneType", "ProofPayloadUnknown"]
    winner = [WALLET, OTHER_WALLET][errors.index(None)]
    assert proved() == {"address": winner.raw_address, "proved_at": "2026-01-01T12:00:00+00:00"}
    assert AuditEntry.objects.count() == 1


def test_a_use_that_begins_before_another_commits_waits_and_is_refused(committed_db: Clone) -> None:
    token = log_in()
    payload = ask(token)
    rival = Meanwhile(lambda: prove(token, payload, wallet=OTHER_WALLET))

    with before(REMEMBERS, rival):
        prove(token, payload)
    with pytest.raises(ProofPayloadUnknown):
        rival.result()

    assert proved() == {"address": WALLET.raw_address, "proved_at": "2026-01-01T12:00:00+00:00"}
    assert AuditEntry.objects.count() == 1


def test_if_the_payload_were_only_looked_for_both_would_count(
    committed_db: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_for(_payload: str, **_: object) -> None:
        if not ProofPayload.objects.exists():
            raise ProofPayloadUnknown

    token = log_in()
    payload = ask(token)
    rival = Meanwhile(lambda: prove(token, payload, wallet=OTHER_WALLET))
    monkeypatch.setattr(proofs, "_use_up", look_for)

    with before(REMEMBERS, rival):
        prove(token, payload)
    rival.result()

    assert AuditEntry.objects.count() == 2
