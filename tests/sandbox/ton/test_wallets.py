"""A person's wallet: it pays through the public API and waits until the money is there."""

from __future__ import annotations

import httpx
import pytest

from sandbox.ton.control import Chain
from sandbox.ton.wallets import DidNotLand, Version, Wallet
from tests.sandbox.ton.api import TON
from tests.sandbox.ton.conftest import NewWallet, StartChain


@pytest.fixture
def living(start_chain: StartChain) -> str:
    """The URL of a chain that makes blocks by itself."""
    return start_chain("--block-ms=50").url


@pytest.mark.parametrize("version", ["v3r2", "v4r2"])
def test_money_has_arrived_when_send_returns(
    living: str, new_wallet: NewWallet, version: Version
) -> None:
    sender, recipient = new_wallet(version), new_wallet()
    with Chain(living) as chain:
        chain.faucet(sender.address, 5 * TON)
        chain.advance(3 * 86400)  # the wallet goes by the chain's time, not by its own

        first = sender.send(living, recipient.address, TON, "one")
        second = sender.send(living, recipient.raw_address, TON)

        assert first != second
        received = [one["in_msg"]["value"] for one in chain.transactions(recipient.address)]
        assert received == [str(TON), str(TON)]
    assert sender.seqno(living) == 2
    assert 2 * TON < sender.balance(living) < 3 * TON


def test_the_same_seed_is_the_same_wallet() -> None:
    assert Wallet("alice").address == Wallet("alice").address != Wallet("bob").address
    assert Wallet("alice").address.startswith("UQ")
    assert Wallet("alice").address != Wallet("alice", version="v4r2").address


def test_a_transfer_that_does_not_land_is_an_error(living: str, new_wallet: NewWallet) -> None:
    sender, recipient = new_wallet(), new_wallet()
    with Chain(living) as chain:
        chain.faucet(sender.address, 5 * TON)
        chain.fault("sendBocReturnHash", "swallow")
        with pytest.raises(DidNotLand):
            sender.send(living, recipient.address, TON, timeout_s=0.5)
        assert chain.transactions(recipient.address) == []


def test_a_transfer_that_the_node_refuses_is_an_error(living: str, new_wallet: NewWallet) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        new_wallet().send(living, new_wallet().address, TON)
