"""TON: the right network at the right time, and the treasury that our key has."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from advertmarket.ton_address import friendly_address
from ops.query import rows
from payments.selectors import NetworkHead, TonUnavailable, network_head, treasury_address
from payments.thresholds import MAX_CLOCK_SKEW
from payments.ton.wallet import public_key_of, subwallet_address

from .verdicts import Failed, Skipped

_DATABASE_SKEW = dt.timedelta(seconds=5)


def look_at_ton() -> str:
    """TON Center answers."""
    head = network_head()
    return f"its last block is {head.seqno}"


def look_at_network() -> str:
    """TON Center serves the network that is meant."""
    network = _head().network
    if not network:
        raise Skipped("TON Center does not tell its network")
    if network != settings.TON_NETWORK:
        raise Failed(f"TON Center serves {network}, and TON_NETWORK is {settings.TON_NETWORK}", "")
    return network


def look_at_clock() -> str:
    """Our clock, the database's and the chain's agree."""
    try:
        [(database_at,)] = rows("SELECT clock_timestamp()")
    except DatabaseError as away:
        raise Skipped(f"PostgreSQL does not tell: {away}") from away
    database_off = timezone.now() - database_at
    if abs(database_off) > _DATABASE_SKEW:
        raise Failed(f"{database_off.total_seconds():+.0f} s against PostgreSQL", "")
    chain_off_s = (timezone.now() - _head().at).total_seconds()
    if abs(chain_off_s) > MAX_CLOCK_SKEW.total_seconds():
        raise Failed(f"{chain_off_s:+.0f} s against the chain's last block", "")
    return f"{chain_off_s:+.0f} s against the chain's last block"


def look_at_wallet() -> str:
    """The treasury in the database is the one of our mnemonic, or of our public key."""
    public_key = settings.TON_WALLET_PUBLIC_KEY
    source = "TON_WALLET_PUBLIC_KEY"
    if settings.TON_WALLET_MNEMONIC:
        try:
            derived = public_key_of(settings.TON_WALLET_MNEMONIC)
        except ValueError as invalid:
            raise Failed(f"TON_WALLET_MNEMONIC: {invalid}", "the 24 words of the backup") from None
        if public_key and derived != public_key:
            raise Failed(
                "TON_WALLET_PUBLIC_KEY is not the mnemonic's",
                "take both from the same backup; never make a new one where deals are open",
            )
        public_key, source = derived, "TON_WALLET_MNEMONIC"
    if not public_key:
        raise Skipped(f"the role {settings.PROCESS_ROLE} knows neither mnemonic nor public key")
    try:
        stored = treasury_address()
    except DatabaseError as away:
        raise Skipped(f"PostgreSQL does not tell: {away}") from away
    if not stored:
        raise Skipped("the database has no treasury yet: the worker makes it in a few seconds")
    address = subwallet_address(public_key, 0)
    if stored != address:
        raise Failed(
            f"the database's treasury is {_shown(stored)}, {source} derives {_shown(address)}",
            "the key of this database's backup; never another one",
        )
    return f"{_shown(stored)}, as {source} derives it"


def _head() -> NetworkHead:
    try:
        return network_head()
    except TonUnavailable as away:
        raise Skipped(f"TON Center does not tell: {away}") from away


def _shown(address: str) -> str:
    return friendly_address(address, network=settings.TON_NETWORK)
