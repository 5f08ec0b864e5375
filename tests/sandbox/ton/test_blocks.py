"""Blocks: what they hold, when messages arrive, and what the indexer knows of them."""

from __future__ import annotations

import pytest

from sandbox.ton.control import Chain
from tests.sandbox.ton.api import TON, Api, soon
from tests.sandbox.ton.conftest import NewWallet, StartChain
from tests.waiting import wait_until

ELECTOR = "-1:" + "3" * 64
CONFIGURATION = "-1:" + "5" * 64


def test_an_empty_block_holds_the_masterchains_own_transactions(chain: Chain, api: Api) -> None:
    seqno = chain.mine()

    ticks = api.block_transactions(seqno)

    assert [one["account"] for one in ticks] == [ELECTOR, CONFIGURATION]
    assert [one["description"]["is_tock"] for one in ticks] == [False, True]
    assert {one["description"]["type"] for one in ticks} == {"tick_tock"}
    assert {one["block_ref"]["workchain"] for one in ticks} == {-1}
    assert {one["mc_block_seqno"] for one in ticks} == {seqno}


def test_a_block_that_is_not_there_is_an_empty_list(chain: Chain, api: Api) -> None:
    assert api.block_transactions(chain.mine() + 1) == []


def test_a_transfer_arrives_in_the_block_after_the_one_that_sent_it(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    sender, recipient = new_wallet(), new_wallet()
    chain.faucet(sender.address, 2 * TON)
    boc = sender.signed_transfer(recipient.address, TON, seqno=0, valid_until=soon(chain))
    api.send(boc)
    assert chain.state(sender.address)["pending"] != []

    seqno = chain.mine()

    assert chain.balance(recipient.address) == 0
    assert chain.state(sender.address)["pending"] == []
    assert chain.mine() == seqno + 1
    sent = api.transactions(sender.address)[-1]
    (received,) = api.transactions(recipient.address)
    assert (sent["mc_block_seqno"], received["mc_block_seqno"]) == (seqno, seqno + 1)
    assert received["in_msg"] == sent["out_msgs"][0]
    assert int(received["lt"]) > int(received["in_msg"]["created_lt"]) > int(sent["lt"])
    assert received["trace_id"] == sent["trace_id"] == sent["hash"]


def test_an_accounts_transactions_form_a_chain(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    wallet = new_wallet()
    for nano in range(1, 6):
        chain.faucet(wallet.address, nano)

    found = api.transactions(wallet.address)

    links = [(one["prev_trans_lt"], one["prev_trans_hash"]) for one in found]
    assert links[0][0] == "0"
    assert links[1:] == [(one["lt"], one["hash"]) for one in found[:-1]]


@pytest.mark.thorough
def test_hundreds_of_deposits_in_one_block_and_only_its_end_state_is_known(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    people, deposit = [new_wallet() for _ in range(150)], new_wallet()
    for person in people:
        chain.faucet(person.address, TON)
    for person in people:
        boc = person.signed_transfer(deposit.address, TON // 2, seqno=0, valid_until=soon(chain))
        api.send(boc)

    seqno = chain.mine(2)

    found = [
        one
        for one in api.block_transactions(seqno)
        if one["account"] == deposit.raw_address.upper()
    ]
    assert len(found) == 150
    assert [one["account_state_after"] is None for one in found] == [True] * 149 + [False]
    assert [one["account_state_before"] is None for one in found] == [False] + [True] * 149
    assert found[-1]["account_state_after"]["balance"] == str(75 * TON)
    assert len({one["lt"] for one in found}) == 150


def test_pages_of_a_block_do_not_overlap(chain: Chain, api: Api, new_wallet: NewWallet) -> None:
    wallet = new_wallet()
    chain.faucet(wallet.address, TON)
    seqno = chain.mine()
    whole = api.block_transactions(seqno)
    one_by_one = [
        api.v3("transactionsByMasterchainBlock", seqno=seqno, limit=1, offset=at, sort="asc")
        for at in range(len(whole) + 1)
    ]
    assert [page["transactions"] for page in one_by_one] == [*[[one] for one in whole], []]


def test_time_in_a_block_is_the_chains_time(chain: Chain, api: Api) -> None:
    before = chain.now()
    chain.advance(3600)
    last = api.v3("masterchainInfo")["last"]
    assert int(last["gen_utime"]) == before + 3600
    header = api.v2(
        "getBlockHeader", workchain=-1, shard="-9223372036854775808", seqno=last["seqno"]
    )
    assert header["gen_utime"] == int(last["gen_utime"])
    assert (header["start_lt"], header["end_lt"]) == (last["start_lt"], last["end_lt"])


def test_a_stopped_clock_stands_still_until_it_runs_on(start_chain: StartChain) -> None:
    with Chain(start_chain("--block-ms=0").url) as chain:
        stopped_at = chain.freeze_clock()
        assert chain.advance(10) == stopped_at + 10
        assert chain.now() == stopped_at + 10
        chain.unfreeze_clock()
        assert wait_until(lambda: chain.now() > stopped_at + 10)


def test_both_versions_name_the_same_block(chain: Chain, api: Api) -> None:
    seqno = chain.mine()
    last_v2 = api.v2("getMasterchainInfo")["last"]
    (block,) = api.v3("blocks", workchain=-1, shard="8000000000000000", seqno=seqno)["blocks"]
    assert last_v2["seqno"] == seqno
    assert (last_v2["root_hash"], last_v2["file_hash"]) == (block["root_hash"], block["file_hash"])
    both = api.v3("blocks", mc_seqno=seqno)["blocks"]
    assert {one["workchain"] for one in both} == {-1, 0}


def test_blocks_come_by_themselves(start_chain: StartChain) -> None:
    api = Api(start_chain("--block-ms=50").url)
    first = api.v3("masterchainInfo")["last"]["seqno"]
    wait_until(lambda: api.v3("masterchainInfo")["last"]["seqno"] >= first + 3)
    api.close()


@pytest.mark.thorough
def test_the_indexer_knows_a_block_later_than_the_node(
    start_chain: StartChain, new_wallet: NewWallet
) -> None:
    running = start_chain("--block-ms=0", "--indexer-lag-ms=2000")
    api, wallet = Api(running.url), new_wallet()
    with Chain(running.url) as chain:
        chain.faucet(wallet.address, TON)
        seqno = chain.mine()

    assert api.v2("getMasterchainInfo")["last"]["seqno"] == seqno
    assert api.v2("getAddressBalance", address=wallet.address) == str(TON)
    assert api.v3("masterchainInfo")["last"]["seqno"] < seqno
    assert api.block_transactions(seqno) == []
    assert api.v3("walletInformation", address=wallet.address)["balance"] == "0"
    live = api.v3("walletInformation", address=wallet.address, use_v2="true")
    assert live["balance"] == str(TON)

    wait_until(lambda: api.v3("masterchainInfo")["last"]["seqno"] == seqno)
    assert len(api.block_transactions(seqno)) == 2
    assert api.v3("walletInformation", address=wallet.address)["balance"] == str(TON)
    api.close()
