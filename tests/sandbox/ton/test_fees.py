"""Money on the chain: no nano appears or disappears, and estimates hold."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.ton.chain import Chain as LocalChain
from sandbox.ton.control import Chain
from sandbox.ton.executor import Executor, NotAccepted
from sandbox.ton.journal import Journal
from sandbox.ton.messages import parse_external, raw_address
from sandbox.ton.wallets import Version, Wallet
from tests.sandbox.ton.api import TON, Api, soon
from tests.sandbox.ton.conftest import NewWallet

PEOPLE = [Wallet(f"person {n}", version="v3r2" if n % 2 else "v4r2") for n in range(4)]

transfers = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(1, 3 * TON),
        st.sampled_from([1, 2, 3, 128]),
        st.integers(0, 40 * 86400),
    ),
    max_size=12,
)


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(transfers)
def test_what_was_minted_is_held_or_was_paid_as_fees(
    plan: list[tuple[int, int, int, int, int]],
) -> None:
    chain = LocalChain(Executor(), Journal(None))
    for person in PEOPLE[:3]:
        chain.mint(person.raw_address, 2 * TON)
    chain.mine()
    seqnos = [0] * len(PEOPLE)
    for sender, recipient, nano, mode, wait_s in plan:
        boc = PEOPLE[sender].signed_transfer(
            PEOPLE[recipient].address,
            nano,
            seqno=seqnos[sender],
            valid_until=chain.now() + wait_s + 60,
            send_mode=mode,
        )
        chain.set_clock(advance_s=wait_s)
        try:
            chain.accept(boc)
        except NotAccepted:
            continue
        chain.mine()
        data = chain.state(PEOPLE[sender].raw_address).data
        seqnos[sender] = data.begin_parse().preload_uint(32) if data else 0
    chain.mine()
    chain.mine()

    people = [chain.state(person.raw_address).balance_nano for person in PEOPLE]
    fees = sum(
        one.content.total_fees.grams
        + sum(message.content.info.fwd_fee for message in one.out_messages)
        for person in PEOPLE
        for one in chain.transactions(person.raw_address)
    )
    assert chain.minted_nano == sum(people) + fees + chain.in_flight_nano


@pytest.mark.parametrize("version", ["v3r2", "v4r2"])
@pytest.mark.parametrize("api_version", ["v2", "v3"])
def test_the_estimate_of_a_first_transfer_is_what_it_costs(
    chain: Chain, api: Api, new_wallet: NewWallet, version: Version, api_version: str
) -> None:
    sender, recipient = new_wallet(version), new_wallet()
    chain.faucet(sender.address, 3 * TON)
    boc = sender.signed_transfer(
        recipient.address, TON, seqno=0, valid_until=soon(chain), comment="payout"
    )
    content = parse_external(boc).content
    question = {
        "address": sender.address,
        "body": _base64(content.body),
        "init_code": _base64(content.init.code),
        "init_data": _base64(content.init.data),
        "ignore_chksig": True,
    }
    ask = api.v2_post if api_version == "v2" else api.v3_post

    fees = ask("estimateFee", **question)["source_fees"]
    assert chain.balance(sender.address) == 3 * TON
    api.send(boc)
    chain.mine(2)

    estimate = sum(fees[part] for part in ("in_fwd_fee", "storage_fee", "gas_fee", "fwd_fee"))
    assert chain.balance(sender.address) == 2 * TON - estimate
    assert chain.balance(recipient.address) == TON


def test_a_deployed_wallet_pays_rent_when_money_arrives(
    chain: Chain, api: Api, new_wallet: NewWallet
) -> None:
    wallet = new_wallet()
    chain.faucet(wallet.address, TON)
    api.send(wallet.signed_transfer(wallet.address, 1, seqno=0, valid_until=soon(chain)))
    chain.mine(2)
    before = chain.balance(wallet.address)

    chain.advance(30 * 86400)
    chain.faucet(wallet.address, TON)

    rent = int(
        api.transactions(wallet.address)[-1]["description"]["storage_ph"]["storage_fees_collected"]
    )
    cost = before + TON - chain.balance(wallet.address)
    assert rent > 0
    assert cost == rent + 40_000


def test_the_shared_chains_books_balance(chain: Chain) -> None:
    totals = chain.totals()
    parts = totals["held_nano"] + totals["in_flight_nano"] + totals["fees_nano"]
    assert totals["minted_nano"] == parts


def test_addresses_are_read_in_every_form() -> None:
    raw = PEOPLE[0].raw_address
    assert {raw_address(PEOPLE[0].address), raw_address(raw), raw_address(raw.upper())} == {raw}


def _base64(cell: object) -> str:
    return base64.b64encode(cell.to_boc()).decode()  # type: ignore[attr-defined]  # pytoniq's Cell
