"""1: the signer does not start for want of a setting; then for a key that is not the treasury's."""

from __future__ import annotations

from ops.secrets import generate_secrets

from .room import Room, manage_fails
from .script import Missing

EX_CONFIG = 78
_BROKEN = (("TON_WALLET_MNEMONIC", ""), ("EVENT_SIGNING_KEY", "not base64"))


def drill(room: Room) -> None:
    """It names what is missing and ends with 78; with the right `.env` it signs again."""
    eyes, script = room.eyes, room.script
    deal = room.funded_deal()
    script.cause("the signer is restarted without TON_WALLET_MNEMONIC, then with a key cut short")
    room.stack.children["signer"].stop()
    room.call_off(deal)
    for variable, value in _BROKEN:
        _does_not_start(room, variable, value)
    eyes.metric("up", lambda value: value == 0, job="signer")
    eyes.alert("ProcessDown", {"job": "signer", "instance": "signer"})
    refund = room.waits(deal, "REFUND")
    script.time_passes("a minute: the signer's last heartbeat, and since when its transfer is due")
    room.sql(
        "UPDATE queue_heartbeats SET beaten_at = beaten_at - '1 min'::interval"
        " WHERE queue = 'signer'"
    )
    room.sql(
        "UPDATE settlements SET due_at = due_at - '1 min'::interval WHERE id = %(id)s", id=refund.id
    )
    eyes.down("workers", "settlements are due")
    _wrong_key(room)
    eyes.incident("money_queue_silent", "signer", within_s=60)
    script.fix("the .env as it was; the signer is started")
    room.stack.start_role("signer")
    room.confirmed_once(deal, "REFUND", deal.advertiser, within_s=60)
    eyes.quiet("ProcessDown")


def _does_not_start(room: Room, variable: str, value: str) -> None:
    room.stack.start_role("signer", **{variable: value})
    signer = room.stack.children["signer"]
    code, lines = signer.wait(60), signer.output().strip().splitlines()
    if code != EX_CONFIG or len(lines) != 1 or variable not in lines[0]:
        raise Missing(f"exit code 78 and one line that names {variable}: {code}, {lines}")
    room.script.symptom("exit code 78", lines[0])


def _wrong_key(room: Room) -> None:
    """The database's treasury is another key's: preflight says so before anything is signed."""
    other = generate_secrets()["TON_WALLET_PUBLIC_KEY"]
    code, printed = manage_fails(room.stack, "preflight", "wallet", TON_WALLET_PUBLIC_KEY=other)
    if code != 1 or "TON_WALLET_PUBLIC_KEY derives" not in " ".join(printed.split()):
        raise Missing(f"preflight does not find the wrong key: {code}, {printed}")
    room.script.symptom("preflight", "with another treasury's key:")
    room.script.says(printed)
    room.operators.plain("preflight", "wallet")
