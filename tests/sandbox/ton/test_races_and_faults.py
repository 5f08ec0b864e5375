"""The races that a payout has to survive, and the faults that tests can order."""

from __future__ import annotations

import time

import httpx
import pytest

from sandbox.ton.control import Chain, OrderRefused
from sandbox.ton.wallets import Wallet
from tests.sandbox.ton.api import TON, Api, Failure, as_hex, soon
from tests.sandbox.ton.conftest import NewWallet


@pytest.fixture
def payer(chain: Chain, new_wallet: NewWallet) -> Wallet:
    """A wallet with 10 TON that has sent nothing yet."""
    wallet = new_wallet()
    chain.faucet(wallet.address, 10 * TON)
    return wallet


def _payout(chain: Chain, payer: Wallet, to: Wallet, *, seqno: int = 0) -> bytes:
    return payer.signed_transfer(to.address, TON, seqno=seqno, valid_until=soon(chain))


def test_the_seqno_moves_with_the_block_not_with_the_answer(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    api.send(_payout(chain, payer, new_wallet()))
    assert api.seqno(payer.address) == 0
    chain.mine()
    assert api.seqno(payer.address) == 1


def test_two_payouts_with_one_seqno_are_both_accepted_and_one_vanishes(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    first, second = new_wallet(), new_wallet()
    for recipient in (first, second):
        assert "hash" in api.send(_payout(chain, payer, recipient))

    chain.mine(2)

    assert chain.balance(first.address) == TON
    assert chain.transactions(second.address) == []
    assert api.seqno(payer.address) == 1


def test_the_same_message_twice_lands_once(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    boc = _payout(chain, payer, recipient)
    assert api.send(boc) == api.send(boc)
    chain.mine(2)
    assert chain.balance(recipient.address) == TON
    assert isinstance(api.send(boc), Failure)


def test_a_message_that_expires_while_it_waits_is_dropped_in_silence(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    api.send(_payout(chain, payer, recipient))
    chain.advance(120)
    chain.mine()
    assert chain.balance(payer.address) == 10 * TON
    assert chain.transactions(recipient.address) == []
    assert chain.state(payer.address)["pending"] == []


def test_a_lost_answer_means_nothing_the_message_landed(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    boc = _payout(chain, payer, recipient)
    chain.fault("sendBocReturnHash", "lost_answer", status=504)

    lost = api.send(boc)
    chain.mine(2)

    assert isinstance(lost, Failure)
    assert lost.status == 504
    assert chain.balance(recipient.address) == TON
    repeated = api.send(boc)
    assert isinstance(repeated, Failure)
    assert "exitcode=33" in repeated.error


def test_a_lost_answer_can_be_a_closed_connection(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    chain.fault("sendBocReturnHash", "lost_answer", status=0)
    with pytest.raises(httpx.RemoteProtocolError):
        api.send(_payout(chain, payer, recipient))
    chain.mine(2)
    assert chain.balance(recipient.address) == TON


def test_a_swallowed_message_was_ok_and_never_lands(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    boc = _payout(chain, payer, recipient)
    chain.fault("sendBocReturnHash", "swallow")

    assert "hash" in api.send(boc)
    chain.mine(2)
    assert chain.balance(recipient.address) == 0

    api.send(boc)
    chain.mine(2)
    assert chain.balance(recipient.address) == TON


def test_a_held_message_lands_some_blocks_late(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    chain.fault("sendBocReturnHash", "hold", blocks=3)
    api.send(_payout(chain, payer, recipient))
    chain.mine(3)
    assert api.seqno(payer.address) == 0
    chain.mine(2)
    assert chain.balance(recipient.address) == TON


def test_a_lagging_node_tells_an_old_seqno(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    api.send(_payout(chain, payer, new_wallet()))
    chain.mine(2)
    chain.fault("walletInformation", "lagging", blocks=2)
    chain.fault("masterchainInfo", "lagging", blocks=2)
    now = api.v2("getMasterchainInfo")["last"]["seqno"]

    assert "seqno" not in api.v3("walletInformation", address=payer.address)
    assert api.v3("masterchainInfo")["last"]["seqno"] == now - 2
    assert api.v3("walletInformation", address=payer.address)["seqno"] == 1
    assert api.v3("masterchainInfo")["last"]["seqno"] == now


def test_an_unindexed_block_is_an_empty_list_with_200(chain: Chain, api: Api) -> None:
    seqno = chain.mine()
    chain.fault("transactionsByMasterchainBlock", "unindexed")
    assert api.block_transactions(seqno) == []
    assert len(api.block_transactions(seqno)) == 2


def test_429_says_when_to_come_back(chain: Chain, api: Api) -> None:
    chain.rate_limited("masterchainInfo", retry_after_s=7)
    failure = api.v3("masterchainInfo")
    assert isinstance(failure, Failure)
    assert (failure.status, failure.headers["Retry-After"]) == (429, "7")
    assert "last" in api.v3("masterchainInfo")


def test_an_error_happens_as_often_as_ordered_and_does_nothing(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    boc = _payout(chain, payer, recipient)
    chain.fault("*", "error", times=2, status=502, error="bad gateway")

    failures = [api.send(boc), api.v3("masterchainInfo")]

    assert [one.status for one in failures] == [502, 502]
    chain.mine(2)
    assert chain.balance(recipient.address) == 0
    assert "last" in api.v3("masterchainInfo")


def test_a_delay_delays_only_its_own_call(chain: Chain, api: Api) -> None:
    chain.fault("masterchainInfo", "delay", delay_ms=300)
    started = time.monotonic()
    api.v3("masterchainInfo")
    assert time.monotonic() - started >= 0.3


def test_cleared_faults_do_not_happen(chain: Chain, api: Api) -> None:
    chain.fault("*", "error", times=100)
    chain.clear_faults()
    assert "last" in api.v3("masterchainInfo")


def test_ordered_faults_are_due_until_they_have_happened(chain: Chain, api: Api) -> None:
    chain.fault("masterchainInfo", "error", times=2)
    assert chain.due_faults() == 2
    api.v3("masterchainInfo")
    assert chain.due_faults() == 1
    api.v3("masterchainInfo")
    assert chain.due_faults() == 0


def test_a_broadcast_is_noted_when_it_comes_whatever_becomes_of_it(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    boc = _payout(chain, payer, new_wallet())
    earlier = len(chain.broadcasts())
    began = time.time()
    chain.fault("sendBocReturnHash", "error")

    assert isinstance(api.send(boc), Failure)
    assert "hash" in api.send(boc)
    assert isinstance(api.send(b"no message"), Failure)
    api.seqno(payer.address)

    noted = chain.broadcasts()[earlier:]
    assert len(noted) == 3
    assert began <= noted[0] <= noted[1] <= noted[2] <= time.time()


def test_an_unknown_fault_is_refused(chain: Chain) -> None:
    with pytest.raises(OrderRefused, match="unknown kind of fault"):
        chain.fault("*", "explosion")  # type: ignore[arg-type]  # wrong on purpose


def test_a_rewrapped_body_lands_under_another_hash_and_is_found_by_the_normalized_one(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    sent = api.send(_payout(chain, payer, recipient))

    wrapped_hash = chain.rewrap(address=payer.address)
    chain.mine(2)

    assert chain.balance(recipient.address) == TON
    landed = api.transactions(payer.address)[-1]
    assert as_hex(landed["in_msg"]["hash"]) == wrapped_hash
    assert landed["in_msg"]["hash"] != sent["hash"]
    assert landed["in_msg"]["hash_norm"] == sent["hash_norm"]
    assert api.v3("transactionsByMessage", msg_hash=sent["hash"])["transactions"] == []
    for msg_hash in (sent["hash_norm"], wrapped_hash):
        (found,) = api.v3("transactionsByMessage", msg_hash=msg_hash)["transactions"]
        assert found["hash"] == landed["hash"]


def test_an_internal_message_is_found_at_both_its_ends(
    chain: Chain, api: Api, payer: Wallet, new_wallet: NewWallet
) -> None:
    recipient = new_wallet()
    api.send(_payout(chain, payer, recipient))
    chain.mine(2)
    message = api.transactions(payer.address)[-1]["out_msgs"][0]["hash"]

    def accounts(**direction: str) -> list[str]:
        answer = api.v3("transactionsByMessage", msg_hash=message, **direction)
        return sorted(one["account"] for one in answer["transactions"])

    ends = [payer.raw_address.upper(), recipient.raw_address.upper()]
    assert accounts() == sorted(ends)
    assert accounts(direction="out") == ends[:1]
    assert accounts(direction="in") == ends[1:]
