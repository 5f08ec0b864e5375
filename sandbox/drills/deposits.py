"""3: deposits are not detected: TON Center is away, then the chain reader stands still."""

from __future__ import annotations

import time

from sandbox.demo.people import PRICE_NANO

from .room import Room

CREDITED_WITHIN_S = 120
"""By the runbook, after its finality."""


def drill(room: Room) -> None:
    """A deposit that came meanwhile is credited once the reader runs again."""
    _ton_center_away(room)
    _reader_stands_still(room)


def _ton_center_away(room: Room) -> None:
    eyes, script = room.eyes, room.script
    script.cause("TON Center (its stand-in) is killed")
    room.stack.kill("ton")
    eyes.down("ton")
    eyes.metric("ton_breaker_open", lambda value: value > 0, job="chain")
    eyes.metric("ton_calls_total", lambda value: value > 0, outcome="ConnectError")
    eyes.alert("TonCenterNotAsked", {"job": "chain"})
    script.fix("TON Center is there again; nothing is done here")
    room.stack.start_role("ton")
    eyes.well("ton")


def _reader_stands_still(room: Room) -> None:
    eyes, script = room.eyes, room.script
    deal = room.accepted_deal()
    script.cause("the chain reader is killed, and an advertiser pays")
    room.stack.kill("chain")
    deal.pay(PRICE_NANO)
    script.time_passes("31 minutes: when the reader last looked, and the block it had booked")
    room.sql(
        "UPDATE chain_cursor SET block_at = block_at - '31 min'::interval,"
        " read_at = read_at - '31 min'::interval"
    )
    eyes.down("workers", "the chain was read")
    eyes.metric("ton_cursor_age_seconds", lambda value: value > 1_800)
    eyes.alert("ChainReaderFarBehind")
    eyes.alert("ProcessDown", {"job": "chain", "instance": "chain"})
    eyes.incident("chain_behind", within_s=30)
    eyes.status("chain reader", "read")
    script.fix("the chain role is started")
    room.stack.start_role("chain")
    began = time.monotonic()
    deal.wait_for_status("FUNDED")
    took_s = time.monotonic() - began
    script.proof(f"the deposit of 50 TON is credited {took_s:.1f} s after the reader's start")
    eyes.metric("ton_cursor_age_seconds", lambda value: value < CREDITED_WITHIN_S)
    eyes.quiet("ProcessDown", "TonCenterNotAsked", "ChainReaderFarBehind")
