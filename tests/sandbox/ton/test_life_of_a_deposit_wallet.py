"""A deposit wallet from its first nano to its last, as the public API shows it."""

from __future__ import annotations

from sandbox.ton.control import Chain
from sandbox.ton.wallets import Wallet
from tests.sandbox.ton.api import TON, Api, as_hex, soon
from tests.sandbox.ton.conftest import NewWallet


def _transfer(chain: Chain, api: Api, sender: Wallet, to: str, nano: int, comment: str = "") -> str:
    """Send, let it arrive, and return the message's hash (hex)."""
    seqno = api.seqno(sender.address)
    boc = sender.signed_transfer(to, nano, seqno=seqno, valid_until=soon(chain), comment=comment)
    sent = api.send(boc)
    chain.mine(2)
    return as_hex(sent["hash"])


def test_a_deposit_to_a_wallet_not_deployed_stays_with_its_comment(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    advertiser, deposit = new_wallet(), new_wallet()
    chain.faucet(advertiser.address, 20 * TON)

    _transfer(chain, api, advertiser, deposit.address, 10 * TON, "deal-42 оплата")

    assert api.v2("getAddressBalance", address=deposit.address) == str(10 * TON)
    assert api.v2("getAddressState", address=deposit.address) == "uninitialized"
    (received,) = api.v2("getTransactions", address=deposit.address)
    assert received["in_msg"]["value"] == str(10 * TON)
    assert received["in_msg"]["message"] == "deal-42 оплата"
    (same,) = api.transactions(deposit.address)
    assert same["in_msg"]["source"] == advertiser.raw_address.upper()
    assert same["in_msg"]["message_content"]["decoded"] == {
        "type": "text_comment",
        "comment": "deal-42 оплата",
    }
    assert same["description"]["aborted"] is True
    assert "bounce" not in same["description"]
    assert (same["orig_status"], same["end_status"]) == ("nonexist", "uninit")
    assert same["account_state_after"]["balance"] == str(10 * TON)


def test_a_long_comment_is_read_whole(chain: Chain, api: Api, new_wallet: NewWallet) -> None:
    sender, recipient = new_wallet(), new_wallet()
    chain.faucet(sender.address, TON)
    comment = "Возврат средств по сделке №1234567890, реклама в канале @example. " * 5

    _transfer(chain, api, sender, recipient.address, TON // 2, comment)

    (received,) = api.transactions(recipient.address)
    assert received["in_msg"]["message_content"]["decoded"]["comment"] == comment


def test_a_bounceable_transfer_to_a_wallet_not_deployed_comes_back(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    sender, nobody = new_wallet(), new_wallet()
    chain.faucet(sender.address, 2 * TON)
    before = chain.balance(sender.address)
    bounceable = api.v2("getExtendedAddressInformation", address=nobody.address)["address"][
        "account_address"
    ]

    _transfer(chain, api, sender, bounceable, TON)
    chain.mine()

    assert chain.balance(nobody.address) == 0
    (refused,) = api.transactions(nobody.address)
    assert refused["description"]["bounce"]["type"] == "ok"
    assert refused["out_msgs"][0]["bounced"] is True
    came_back = api.transactions(sender.address)[-1]
    assert came_back["in_msg"]["bounced"] is True
    assert 0 < before - chain.balance(sender.address) < TON // 100


def test_the_first_payout_deploys_the_wallet(chain: Chain, api: Api, new_wallet: NewWallet) -> None:
    deposit, owner = new_wallet(), new_wallet()
    chain.faucet(deposit.address, 10 * TON)

    message_hash = _transfer(chain, api, deposit, owner.address, 7 * TON, "payout deal-42")

    assert chain.balance(owner.address) == 7 * TON
    wallet = api.v3("walletInformation", address=deposit.address)
    assert (wallet["wallet_type"], wallet["seqno"], wallet["wallet_id"]) == (
        "wallet v3 r2",
        1,
        698983191,
    )
    payout = api.transactions(deposit.address)[-1]
    assert payout["in_msg"]["source"] is None
    assert payout["in_msg"]["value"] is None
    assert as_hex(payout["in_msg"]["hash"]) == message_hash
    assert (payout["orig_status"], payout["end_status"]) == ("uninit", "active")
    (sent,) = payout["out_msgs"]
    assert (sent["destination"], sent["value"]) == (owner.raw_address.upper(), str(7 * TON))
    assert payout["description"]["compute_ph"]["exit_code"] == 0
    assert payout["description"]["action"]["msgs_created"] == 1


def test_what_a_transfer_costs_is_its_fees_and_the_way_of_its_message(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    sender, recipient = new_wallet(), new_wallet()
    chain.faucet(sender.address, 10 * TON)

    _transfer(chain, api, sender, recipient.address, TON)

    sent = api.transactions(sender.address)[-1]
    cost = int(sent["total_fees"]) + int(sent["out_msgs"][0]["fwd_fee"])
    assert chain.balance(sender.address) == 10 * TON - TON - cost
    assert sent["account_state_after"]["balance"] == str(chain.balance(sender.address))
    (v2,) = api.v2("getTransactions", address=sender.address, limit=1)
    assert v2["fee"] == str(cost)


def test_an_overspend_is_accepted_burns_the_seqno_and_sends_nothing(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    sender, recipient = new_wallet(), new_wallet()
    chain.faucet(sender.address, TON)

    _transfer(chain, api, sender, recipient.address, 100 * TON)

    burnt = api.transactions(sender.address)[-1]
    assert burnt["out_msgs"] == []
    assert burnt["description"]["aborted"] is False
    assert burnt["description"]["action"]["skipped_actions"] == 1
    assert api.seqno(sender.address) == 1
    assert chain.balance(recipient.address) == 0
    assert chain.transactions(recipient.address) == []


def test_mode_128_sends_all_that_is_left(chain: Chain, api: Api, new_wallet: NewWallet) -> None:
    sender, recipient = new_wallet("v4r2"), new_wallet()
    chain.faucet(sender.address, TON)
    boc = sender.signed_transfer(
        recipient.address, 0, seqno=0, valid_until=soon(chain), send_mode=128
    )

    api.send(boc)
    chain.mine(2)

    assert chain.balance(sender.address) == 0
    assert TON * 99 // 100 < chain.balance(recipient.address) < TON


def test_the_pages_of_v2_go_back_by_lt_and_hash(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    wallet = new_wallet()
    for nano in (1, 2, 3):
        chain.faucet(wallet.address, nano * TON)

    newest, middle, oldest = api.v2("getTransactions", address=wallet.address)
    position = {"lt": middle["transaction_id"]["lt"], "hash": middle["transaction_id"]["hash"]}

    from_middle = api.v2("getTransactions", address=wallet.address, **position)
    assert from_middle == [middle, oldest]
    after_oldest = api.v2(
        "getTransactions", address=wallet.address, to_lt=oldest["transaction_id"]["lt"]
    )
    assert after_oldest == [newest, middle]
    assert api.v2("getTransactions", address=wallet.address, limit=1) == [newest]


def test_an_account_that_nobody_has_seen_is_empty_not_an_error(
    api: Api, new_wallet: NewWallet
) -> None:
    nobody = new_wallet().address

    assert api.v2("getTransactions", address=nobody) == []
    assert api.v2("getAddressBalance", address=nobody) == "0"
    assert api.v2("getWalletInformation", address=nobody)["wallet"] is False
    assert api.v3("accountStates", address=nobody)["accounts"] == []
    information = api.v3("walletInformation", address=nobody)
    assert (information["balance"], information["status"]) == ("0", "uninit")
    assert "seqno" not in information


def test_of_an_account_that_a_bounce_left_nowhere_a_node_knows_no_history(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    address = new_wallet().raw_address
    chain.faucet(address, TON, bounce=True)
    assert len(chain.transactions(address)) == 1

    gone = api.v2("getAddressInformation", address=address)
    assert (gone["balance"], gone["last_transaction_id"]["lt"]) == ("0", "0")
    assert api.v2("getTransactions", address=address) == []

    chain.faucet(address, TON)
    chain.faucet(address, TON)

    assert len(api.v2("getTransactions", address=address)) == 2
