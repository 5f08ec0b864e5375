"""4: a payout is stuck: the signer's limit is lower than what it has to sign."""

from __future__ import annotations

from .room import Room

LIMIT_TON = 1
CONFIRMED_WITHIN_S = 600
"""By the runbook, from the payout's becoming due."""


def drill(room: Room) -> None:
    """The payout waits for the limit; with the limit raised it goes out once."""
    eyes, script = room.eyes, room.script
    deal = room.funded_deal()
    script.cause(f"the signer runs with SIGNING_LIMIT_TRANSFER_TON={LIMIT_TON}; a payout is due")
    room.stack.restart_role("signer", SIGNING_LIMIT_TRANSFER_TON=str(LIMIT_TON))
    deal.submit_ad()
    deal.advertiser_does("creative/approve")
    deal.owner_does("publish")
    waiting_for = f"the limit of {LIMIT_TON}000000000 nanoTON signed per transfer"
    payout = room.waits(deal, "PAYOUT", waiting_for, within_s=60)
    eyes.page("/admin/payments/settlement/", waiting_for)
    script.time_passes("61 minutes: since when the payout waits")
    room.sql(
        "UPDATE settlements SET state_since_at = state_since_at - '61 min'::interval,"
        " payable_since_at = payable_since_at - '61 min'::interval WHERE id = %(id)s",
        id=payout.id,
    )
    eyes.metric(
        "settlements_payable_age_seconds",
        lambda value: value > 3_600,
        kind="PAYOUT",
        state="QUEUED",
    )
    eyes.alert("PayoutStuck", {"kind": "PAYOUT"})
    eyes.incident("payout_stuck", payout.id, within_s=40)
    eyes.status("stuck transfers", "PAYOUT")
    script.fix("SIGNING_LIMIT_TRANSFER_TON as it was; the signer is restarted")
    room.stack.restart_role("signer")
    script.time_passes("the minute after which what waits for a limit is tried again")
    room.sql("UPDATE settlements SET due_at = now() WHERE id = %(id)s", id=payout.id)
    room.confirmed_once(deal, "PAYOUT", room.market.oleg, within_s=CONFIRMED_WITHIN_S)
    eyes.quiet("PayoutStuck")
