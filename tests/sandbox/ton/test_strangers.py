"""Clients that strangers wrote, unchanged, against the local chain."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytoniq_core import Cell, Slice
from pytoniq_core.tlb.transaction import Transaction
from ton_core import NetworkGlobalID, PrivateKey
from tonutils.clients import ToncenterClient
from tonutils.contracts import WalletV3R2, WalletV4R2, WalletV5R1

from sandbox.ton.control import Chain
from sandbox.ton.wallets import Wallet
from tests.sandbox.ton.api import TON, Api, soon
from tests.sandbox.ton.conftest import NewWallet, StartChain
from tests.waiting import wait_until

SCRIPT = Path(__file__).parent / "stranger_js"
INSTALLED = Path(__file__).parents[3] / "var" / "stranger_js"


def _seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@pytest.fixture
def living(start_chain: StartChain) -> str:
    """The URL of a chain that makes blocks by itself, in today's time."""
    return start_chain("--block-ms=100").url


async def _pay_with_tonutils(url: str, contract: Any, seed: bytes, to: str) -> dict[str, Any]:
    client = ToncenterClient(
        NetworkGlobalID.MAINNET, api_key="key", base_url=f"{url}/api/v2", rps_limit=100
    )
    async with client:
        wallet = contract.from_private_key(client, PrivateKey(seed))
        await wallet.refresh()
        before = wallet.balance
        sent = await wallet.transfer(to, TON, "from tonutils", bounce=False)
        return {
            "address": wallet.address.to_str(is_user_friendly=False),
            "before": before,
            "hash": sent.normalized_hash,
        }


async def _read_with_tonutils(url: str, address: str) -> dict[str, Any]:
    client = ToncenterClient(
        NetworkGlobalID.MAINNET, api_key="key", base_url=f"{url}/api/v2", rps_limit=100
    )
    async with client:
        info = await client.get_info(address)
        transactions = await client.get_transactions(address)
        (seqno,) = await client.run_get_method(address, "seqno")
        gas_prices = (await client.get_config())[21]
        return {
            "balance": info.balance,
            "state": info.state.value,
            "last": (info.last_transaction_lt, info.last_transaction_hash),
            "transactions": [(one.lt, one.cell.hash.hex()) for one in transactions],
            "seqno": seqno,
            "gas_prices": gas_prices is not None,
        }


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("contract", "kind"),
    [(WalletV3R2, "wallet v3 r2"), (WalletV4R2, "wallet v4 r2"), (WalletV5R1, "wallet v5 r1")],
)
def test_tonutils_pays_and_reads(
    living: str, new_wallet: NewWallet, contract: Any, kind: str
) -> None:
    seed, recipient = _seed(f"tonutils {kind}"), new_wallet()
    payer = asyncio.run(_address_with_tonutils(living, contract, seed))
    with Chain(living) as chain:
        chain.faucet(payer, 3 * TON)
        paid = asyncio.run(_pay_with_tonutils(living, contract, seed, recipient.address))
        wait_until(lambda: chain.balance(recipient.address))

        read = asyncio.run(_read_with_tonutils(living, payer))

        assert (paid["address"], paid["before"]) == (payer, 3 * TON)
        assert chain.balance(recipient.address) == TON
        assert read["balance"] == chain.balance(payer)
        newest_first = list(reversed(chain.transactions(payer)))
    assert (read["state"], read["seqno"], read["gas_prices"]) == ("active", 1, True)
    assert read["transactions"] == [
        (int(one["lt"]), base64.b64decode(one["hash"]).hex()) for one in newest_first
    ]
    assert read["last"] == read["transactions"][0]
    landed = newest_first[0]["in_msg"]
    assert base64.b64decode(landed["hash_norm"]).hex() == paid["hash"]
    api = Api(living)
    assert api.v3("walletInformation", address=payer)["wallet_type"] == kind
    api.close()


def test_pytoniq_core_reads_transactions_and_their_hashes(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    sender, recipient = new_wallet("v4r2"), new_wallet()
    chain.faucet(sender.address, 3 * TON)
    boc = sender.signed_transfer(
        recipient.address, TON, seqno=0, valid_until=soon(chain), comment="hello"
    )
    api.send(boc)
    chain.mine(2)
    in_v3 = api.transactions(sender.address) + api.transactions(recipient.address)
    in_v2 = [
        one
        for address in (sender.address, recipient.address)
        for one in reversed(api.v2("getTransactions", address=address))
    ]
    assert len(in_v3) == len(in_v2) == 3

    for v2, v3 in zip(in_v2, in_v3, strict=True):
        cell = Cell.one_from_boc(v2["data"])
        parsed = Transaction.deserialize(Slice.one_from_boc(v2["data"]))
        assert v2["transaction_id"]["hash"] == v3["hash"] == _base64(cell.hash)
        assert (str(parsed.lt), parsed.now) == (v3["lt"], v3["now"])
        assert _base64(parsed.prev_trans_hash) == v3["prev_trans_hash"]
        assert str(parsed.total_fees.grams) == v3["total_fees"]
        assert _base64(parsed.state_update.new_hash) == v3["account_state_after"]["hash"]
        message = cell.refs[0].begin_parse()
        assert message.load_bit()
        assert _base64(message.load_ref().hash) == v3["in_msg"]["hash"] == v2["in_msg"]["hash"]
    external = Cell.one_from_boc(boc)
    assert in_v3[1]["in_msg"]["hash"] == _base64(external.hash)


@pytest.fixture(scope="session")
def script() -> Path:
    """The Node script with its packages, installed once into var/."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("SKIPPED: node and npm are not installed: @ton/ton cannot be tried")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    lock = (SCRIPT / "package-lock.json").read_bytes()
    stamp = INSTALLED / "installed"
    with (INSTALLED / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_bytes() != lock:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(SCRIPT / name, INSTALLED / name)
            subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund"],
                cwd=INSTALLED,
                check=True,
                capture_output=True,
            )
            stamp.write_bytes(lock)
    return Path(shutil.copy(SCRIPT / "stranger.js", INSTALLED / "stranger.js"))


@pytest.mark.timeout(180)
def test_the_ton_developers_client_pays_and_reads(
    living: str, new_wallet: NewWallet, script: Path
) -> None:
    seed, recipient = "stranger", new_wallet()
    payer = Wallet(seed, version="v4r2")
    with Chain(living) as chain:
        chain.faucet(payer.address, 3 * TON)
        ran = subprocess.run(
            ["node", str(script), living, _seed(seed).hex(), recipient.address, str(TON)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        landed = chain.transactions(payer.address)[-1]
        left = chain.balance(payer.address)

    assert found["address"] == payer.raw_address
    assert (found["balanceBefore"], found["deployedBefore"]) == (str(3 * TON), False)
    assert (found["seqno"], found["seqnoAfter"]) == (0, 1)
    paid_hash = base64.b64decode(landed["hash"]).hex()
    assert found["paid"] == {"hash": paid_hash, "outMessages": 1}
    assert found["found"] == paid_hash
    assert left == 2 * TON - int(found["cost"])
    assert sum(value for part, value in found["fee"].items() if part != "@type") in range(
        int(found["cost"]) - 10, int(found["cost"]) + 10
    )
    assert found["received"] == {
        "value": str(TON),
        "comment": "from a stranger",
        "source": payer.raw_address,
    }
    assert found["state"] == {"status": "active", "balance": str(left), "seqno": 1}
    assert found["publicKey"] is True
    assert found["shard"] == 0
    assert found["masterchainAccounts"] == ["-1:" + "3" * 64, "-1:" + "5" * 64]
    assert "exitcode=33" in found["refusal"]


async def _address_with_tonutils(url: str, contract: Any, seed: bytes) -> str:
    client = ToncenterClient(NetworkGlobalID.MAINNET, api_key="key", base_url=f"{url}/api/v2")
    wallet = contract.from_private_key(client, PrivateKey(seed))
    return str(wallet.address.to_str(is_user_friendly=False))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
