"""The sealed audit log: whatever a superuser does to it afterwards is found, and named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.actors import Actor
from advertmarket.audit import blocks, sealer, tasks, verify, witness
from advertmarket.audit import services as audit
from advertmarket.audit.models import AuditEntry, AuditSeal
from advertmarket.state import redis_state
from payments.restore import after_restore
from tests.payments.threads import together, unfinished
from tests.redis_elsewhere import state_at

pytestmark = [pytest.mark.usefixtures("committed_db"), pytest.mark.leaves_findings]

NOWHERE = "redis://127.0.0.1:9/0"

AT = datetime(2026, 1, 1, tzinfo=UTC)


def record(reason: str) -> None:
    with transaction.atomic():
        audit.record(
            actor=Actor.operator(3),
            action="pause",
            object_type="payouts",
            object_id="all",
            before={"paused": False, "rate": 1.10},
            after={"paused": True, "until": AT},
            reason=reason,
            at=AT,
        )


def sealed(*blocks_of: int) -> list[int]:
    """Seal blocks of so many entries; return the entries' ids."""
    for number, count in enumerate(blocks_of, 1):
        for each in range(count):
            record(f"{number}.{each}")
        assert sealer.seal(at=timezone.now()) == count
    assert found() == []
    return list(AuditEntry.objects.order_by("id").values_list("id", flat=True))


def found() -> list[str]:
    return [str(each) for each in verify.breaks()]


def tamper(statement: str, *parameters: int | str) -> None:
    """What only a superuser, or the tables' owner, can do."""
    with connection.cursor() as cursor:
        for table in ("audit_log", "audit_seals"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        for table in ("audit_log", "audit_seals"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


# --- sealing --------------------------------------------------------------------------------------


def test_what_was_written_is_sealed_in_order_and_once() -> None:
    assert sealer.seal(at=AT) == 0

    first, second, third = sealed(2, 1)

    assert list(AuditSeal.objects.values_list("number", "ids", "entries")) == [
        (1, [first, second], 2),
        (2, [third], 1),
    ]
    assert sealer.seal(at=AT) == 0
    last = AuditSeal.objects.get(number=2)
    assert witness.remembered() == (2, last.digest)


def test_a_long_log_is_sealed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_ENTRIES", 2)

    sealed(5)

    assert list(AuditSeal.objects.values_list("entries", flat=True)) == [2, 2, 1]


def test_two_sealers_seal_each_entry_once() -> None:
    for each in range(3):
        record(f"{each}")

    done = together(*[lambda: sealer.seal(at=timezone.now())] * 2)

    assert sorted(each.result() for each in done) == [0, 3]
    assert AuditSeal.objects.count() == 1
    assert found() == []


def test_an_entry_that_commits_late_is_neither_lost_nor_flagged() -> None:
    with unfinished(lambda: record("begun first")):
        record("committed first")

        assert sealer.seal(at=AT, patience_s=0.05) == 0

    assert sealer.seal(at=AT) == 2
    [block] = AuditSeal.objects.all()
    reasons = {entry.id: entry.reason for entry in AuditEntry.objects.all()}
    assert [reasons[each] for each in block.ids] == ["begun first", "committed first"]
    assert found() == []


def test_without_waiting_it_would_be_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the test above can fail."""
    monkeypatch.setattr(sealer, "wait_for_writers", lambda *_, **__: True)
    with unfinished(lambda: record("begun first")):
        record("committed first")

        assert sealer.seal(at=AT) == 1

    late = AuditEntry.objects.get(reason="begun first")
    assert found() == [f"entry {late.id} was slipped in"]


def test_while_redis_is_away_nothing_is_sealed(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    here = settings.REDIS_STATE_URL
    record("an entry")
    state_at(settings, NOWHERE)

    assert sealer.seal(at=AT) == 0
    assert "the audit log is sealed next time: Redis is away" in caplog.text
    assert not AuditSeal.objects.exists()

    state_at(settings, here)
    assert sealer.seal(at=AT) == 1


def test_that_redis_is_away_is_not_that_it_remembers_nothing(settings: Settings) -> None:
    assert witness.remembered() is None

    state_at(settings, NOWHERE)

    with pytest.raises(witness.WitnessAway):
        witness.remembered()


def test_the_database_refuses_to_change_a_seal() -> None:
    sealed(1)

    for statement in (
        "UPDATE audit_seals SET mac = ''",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
    ):
        with (
            pytest.raises(IntegrityError, match="audit_seals is append-only"),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)

    assert AuditSeal.objects.count() == 1


# --- finding --------------------------------------------------------------------------------------

EDITS = {
    "at": "at + interval '1 microsecond'",
    "actor_kind": "'system'",
    "actor_id": "'4'",
    "action": "'resume'",
    "object_type": "'wallet'",
    "object_id": "'some'",
    "before": """'{"rate": 1.10, "paused": false}'""",
    "after": "NULL",
    "reason": "''",
    "ip_address": "'10.0.0.2'",
    "correlation_id": "gen_random_uuid()",
}


def found_after(statement: str, *parameters: int | str) -> list[str]:
    """What is found once somebody did this, and undid it."""
    with transaction.atomic():
        tamper(statement, *parameters)
        after = found()
        transaction.set_rollback(True)
    assert found() == []
    return after


def test_an_edit_of_any_column_is_found() -> None:
    _, entry, _ = sealed(2, 1)

    for column, value in EDITS.items():
        after = found_after(f"UPDATE audit_log SET {column} = {value} WHERE id = %s", entry)

        assert after == [f"entry {entry} was changed"], column


def test_every_column_is_looked_at() -> None:
    columns = {field.column for field in AuditEntry._meta.concrete_fields}

    assert columns == {"id", *EDITS}


def test_a_deleted_entry_is_found() -> None:
    for entry in sealed(3):
        after = found_after("DELETE FROM audit_log WHERE id = %s", entry)

        assert after == [f"entry {entry} is gone"]


def slip_in(entry: int) -> None:
    tamper(
        "INSERT INTO audit_log OVERRIDING SYSTEM VALUE"
        " SELECT %s, at, actor_kind, actor_id, action, object_type, object_id, before, after,"
        " reason, ip_address, correlation_id FROM audit_log LIMIT 1",
        entry,
    )


def test_an_entry_slipped_in_where_none_was_is_found() -> None:
    sealed(1)
    with transaction.atomic():
        record("never happened")
        unused = AuditEntry.objects.latest("id").id
        transaction.set_rollback(True)
    sealed(1)

    for entry in (-7, unused):
        slip_in(entry)

    assert found() == ["entry -7 was slipped in", f"entry {unused} was slipped in"]


def test_an_entry_exchanged_for_another_is_found_twice() -> None:
    first, _ = sealed(2)

    tamper("UPDATE audit_log SET id = -1 WHERE id = %s", first)

    assert found() == ["entry -1 was slipped in", f"entry {first} is gone"]


def test_another_session_s_settings_change_no_entry_s_digest() -> None:
    """Whoever pastes the query into psql has others than we."""
    sealed(1)

    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'")
        cursor.execute(blocks.CHANGED_ENTRIES, {"after_seal": 0})

        assert cursor.fetchall() == []


def edit_with_its_digest(entry: int, block: int) -> None:
    """Change an entry, and what its block says of it."""
    tamper("UPDATE audit_log SET reason = 'another' WHERE id = %s", entry)
    with connection.cursor() as cursor:
        cursor.execute(blocks.ENTRIES, {"after": entry - 1, "upto": entry, "most": 1})
        [(_, digest)] = cursor.fetchall()
    tamper(
        "UPDATE audit_seals SET digests[array_position(ids, %s)] = %s WHERE number = %s",
        entry,
        digest,
        block,
    )


def build_anew(block: int) -> None:
    """Compute the digests from this block on, as one can who has no key."""
    previous = AuditSeal.objects.filter(number=block - 1).values_list("digest", flat=True).first()
    digest = previous or ""
    for each in AuditSeal.objects.filter(number__gte=block).order_by("number"):
        digest = blocks.digest_of(
            number=each.number,
            previous=digest,
            ids=each.ids,
            digests=each.digests,
            sealed_at=each.sealed_at,
        )
        tamper("UPDATE audit_seals SET digest = %s WHERE number = %s", digest, each.number)


def test_a_block_that_was_changed_with_its_entry_is_found() -> None:
    _, second, _ = sealed(1, 1, 1)

    edit_with_its_digest(second, block=2)

    assert found() == ["block 2 is not what was sealed after the one before"]


def test_a_chain_that_was_built_anew_without_the_key_is_found() -> None:
    _, second, _ = sealed(1, 1, 1)
    edit_with_its_digest(second, block=2)
    redis_state().delete(witness.KEY)

    build_anew(2)

    assert found() == ["block 2 and those after it are sealed with no key of ours"]


def test_redis_remembers_a_chain_that_was_built_anew() -> None:
    """By somebody who has the key as well."""
    (only,) = sealed(1)
    edit_with_its_digest(only, block=1)
    build_anew(1)
    block = AuditSeal.objects.get()
    tamper("UPDATE audit_seals SET mac = %s", blocks.mac_of(block.digest))

    assert found() == ["block 1 is not the one that Redis remembers, or is gone"]


def test_a_block_that_is_gone_is_found() -> None:
    sealed(1, 1, 1)

    tamper("DELETE FROM audit_seals WHERE number = 2")

    assert found() == ["block 2 is gone"]


def test_an_end_that_was_cut_off_is_found() -> None:
    entries = sealed(1, 1, 1)

    for first_cut in (3, 1):
        tamper("DELETE FROM audit_seals WHERE number >= %s", first_cut)
        tamper("DELETE FROM audit_log WHERE id >= %s", entries[first_cut - 1])

        assert found() == ["block 3 is not the one that Redis remembers, or is gone"]


def test_an_end_that_redis_too_has_lost_is_not_missed() -> None:
    """The limit: a chain does not know its own end."""
    entries = sealed(1, 1)
    redis_state().delete(witness.KEY)

    tamper("DELETE FROM audit_seals WHERE number = 2")
    tamper("DELETE FROM audit_log WHERE id = %s", entries[1])

    assert found() == []


def test_after_a_restore_the_log_ends_where_the_backup_ends() -> None:
    entries = sealed(1, 1)
    tamper("DELETE FROM audit_seals WHERE number = 2")
    tamper("DELETE FROM audit_log WHERE id = %s", entries[1])

    with transaction.atomic():
        after_restore(skip=1, at=timezone.now())

    assert found() == []
    assert sealer.seal(at=timezone.now()) == 1


# --- what the sealer refuses ----------------------------------------------------------------------


def refuses() -> str:
    record("after it")
    before = AuditSeal.objects.count()
    with pytest.raises(sealer.ChainBroken) as refusal:
        sealer.seal(at=AT)
    assert AuditSeal.objects.count() == before
    return str(refusal.value)


def test_nothing_is_built_on_a_block_that_is_not_ours() -> None:
    sealed(1, 1)
    tamper("UPDATE audit_seals SET mac = %s WHERE number = 2", "0" * 64)

    assert refuses() == "audit seal 2 was not made with a key of ours"


def test_nothing_is_built_where_the_end_was_cut_off() -> None:
    sealed(1, 1)
    remembered = witness.remembered()
    tamper("DELETE FROM audit_seals WHERE number = 2")

    assert refuses() == "audit seal 2 is not the one that Redis remembers"
    assert witness.remembered() == remembered


def test_what_redis_remembers_of_a_cut_end_outlives_a_blink(settings: Settings) -> None:
    here = settings.REDIS_STATE_URL
    sealed(2, 2)
    tamper("DELETE FROM audit_seals WHERE number = 2")
    tamper("DELETE FROM audit_log WHERE id > (SELECT max(last_id) FROM audit_seals)")
    record("after the theft")
    state_at(settings, NOWHERE)
    assert sealer.seal(at=AT) == 0
    state_at(settings, here)

    assert refuses() == "audit seal 2 is not the one that Redis remembers"
    assert found() == ["block 2 is not the one that Redis remembers, or is gone"]


def test_the_task_says_so_and_goes_on_with_its_life(caplog: pytest.LogCaptureFixture) -> None:
    sealed(1)
    tamper("UPDATE audit_seals SET mac = ''")
    record("after it")

    tasks.seal()

    assert "run manage.py verify_audit" in caplog.text
    assert AuditSeal.objects.count() == 1


# --- the key --------------------------------------------------------------------------------------


def test_a_key_is_changed_without_a_break(settings: Settings) -> None:
    sealed(1)
    old, settings.EVENT_SIGNING_KEY = settings.EVENT_SIGNING_KEY, b"n" * 32
    settings.OLD_EVENT_SIGNING_KEYS = [old]
    sealed(1)

    settings.OLD_EVENT_SIGNING_KEYS = []

    assert found() == []


def test_a_key_that_is_gone_before_its_successor_sealed_leaves_no_proof(settings: Settings) -> None:
    sealed(1, 1)

    settings.EVENT_SIGNING_KEY = b"n" * 32

    assert found() == ["block 1 and those after it are sealed with no key of ours"]
    assert refuses() == "audit seal 2 was not made with a key of ours"


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_how_much_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    sealed(2)
    record("not sealed yet")

    call_command("verify_audit")

    digest = AuditSeal.objects.get().digest
    assert capsys.readouterr().out == (
        f"3 entries, 1 not sealed yet; the last block is 1 {digest}\n"
    )


def test_the_command_names_what_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = sealed(2)
    tamper("DELETE FROM audit_log WHERE id = %s", second)

    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit")

    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines()[0] == f"BROKEN  entry {second} is gone"
    assert first < second


def test_the_command_proves_nothing_while_redis_is_away(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed(1)
    state_at(settings, NOWHERE)

    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit")

    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        "Redis is away: who knows where the audit log ended"
    )
