"""What a node refuses, and how it says so."""

from __future__ import annotations

import pytest

from sandbox.ton.control import Chain
from sandbox.ton.wallets import Wallet
from tests.sandbox.ton.api import TON, Api, Failure, soon
from tests.sandbox.ton.conftest import NewWallet


@pytest.fixture
def deployed(chain: Chain, api: Api, new_wallet: NewWallet) -> Wallet:
    """A v3r2 wallet whose next seqno is 1."""
    wallet = new_wallet()
    chain.faucet(wallet.address, 5 * TON)
    boc = wallet.signed_transfer(wallet.address, TON, seqno=0, valid_until=soon(chain))
    api.send(boc)
    chain.mine(2)
    return wallet


def _refused(api: Api, boc: bytes, wallet: Wallet, exit_code: int) -> None:
    failure = api.send(boc)
    assert isinstance(failure, Failure)
    assert failure.status == 500
    account = wallet.raw_address.split(":")[1].upper()
    assert f"rejected by transaction {account}:\nexitcode={exit_code}," in failure.error


def test_a_message_that_landed_is_refused_with_33(chain: Chain, api: Api, deployed: Wallet) -> None:
    boc = deployed.signed_transfer(deployed.address, TON, seqno=0, valid_until=soon(chain))
    _refused(api, boc, deployed, 33)


def test_a_seqno_from_the_future_is_refused_with_33(
    chain: Chain, api: Api, deployed: Wallet
) -> None:
    boc = deployed.signed_transfer(deployed.address, TON, seqno=9, valid_until=soon(chain))
    _refused(api, boc, deployed, 33)


def test_an_expired_message_is_refused_with_35_by_v3(
    chain: Chain, api: Api, deployed: Wallet
) -> None:
    boc = deployed.signed_transfer(deployed.address, TON, seqno=1, valid_until=soon(chain, 30))
    chain.advance(30)
    _refused(api, boc, deployed, 35)
    assert api.seqno(deployed.address) == 1


def test_an_expired_message_is_refused_with_36_by_v4(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    wallet = new_wallet("v4r2")
    chain.faucet(wallet.address, TON)
    boc = wallet.signed_transfer(wallet.address, 1, seqno=0, valid_until=chain.now())
    _refused(api, boc, wallet, 36)


def test_a_message_without_a_contract_to_ask_is_refused(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    nobody = new_wallet()
    boc = nobody.signed_transfer(nobody.address, 1, seqno=0, valid_until=soon(chain))
    failure = api.send(boc)
    assert isinstance(failure, Failure)
    assert "before smart-contract execution" in failure.error


def test_what_is_no_message_is_refused_by_both_versions(api: Api) -> None:
    v2 = api.v2_post("sendBoc", boc="AAAA")
    assert isinstance(v2, Failure)
    assert (v2.status, v2.body["ok"]) == (500, False)
    v3 = api.v3_post("message", boc="not base64!")
    assert isinstance(v3, Failure)
    assert set(v3.body) == {"error", "code"}
    assert v3.status == 422


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("transactions", {"limit": 1001}),
        ("transactions", {"account": "EQnonsense"}),
        ("transactionsByMasterchainBlock", {}),
        ("transactionsByMessage", {"msg_hash": "00"}),
        ("blocks", {"seqno": 1}),
    ],
)
def test_v3_refuses_wrong_parameters_with_422(
    api: Api, method: str, params: dict[str, object]
) -> None:
    failure = api.v3(method, **params)
    assert isinstance(failure, Failure)
    assert failure.status == 422


def test_an_unknown_method_is_404(api: Api) -> None:
    failure = api.v2("getNothing")
    assert isinstance(failure, Failure)
    assert failure.status == 404


def test_an_account_with_another_contract_is_not_a_wallet(api: Api) -> None:
    failure = api.v3("walletInformation", address="-1:" + "5" * 64)
    assert isinstance(failure, Failure)
    assert (failure.status, failure.error) == (409, "not a wallet")
