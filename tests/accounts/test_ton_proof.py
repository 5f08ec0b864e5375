"""What a proof of an address must hold; the proofs are those of real wallets and of strangers'."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import tonutils.contracts as strangers
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import begin_cell

from accounts.ton_proof import InvalidTonProof, TonProof, verify_ton_proof
from advertmarket.environment import Network
from advertmarket.errors import DomainError
from advertmarket.ton_address import InvalidTonAddress, friendly_address
from tests.accounts.wallets import DOMAIN, ProvingWallet

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAYLOAD = "a payload of ours"
WALLET = ProvingWallet("ann")

TONKEEPER_W5_ON_TESTNET = TonProof(
    address="0:605893d6874139ae5cf8ca022a6b63ad9594ce704dd472d356db1be650ee090a",
    network="-3",
    public_key="b32332c92071d4f27d2d986ff97b3a601d01e9d0f6669f784c69ceb6018c1ded",
    timestamp=1730704057,
    domain="ton-connect.github.io",
    domain_length=21,
    signature=(
        "Als2EvxZ8EAJD2ELlD40CuOaQu9Q8LDasHujJjSp7725DdF35agrrWQlwToWdKYzz0zYFa8M18LqfnFxZJOcBg=="
    ),
    payload=(
        "eyJhbGciOiJIUzI1NiJ9.eyJwYXlsb2FkIjoiYmMwODEwODI2YmIzMmYyMmMyMGQ5OTYzNGFhM2ViMWM1ZDg2OGMzM2"
        "ZmODJmMWY3ZWMzMDE1N2I5MDA4NDdlMyIsImlhdCI6MTczMDcwNDA0MiwiZXhwIjoxNzMwNzA0OTQyfQ.LujjRO9zHu"
        "8xCnqLZLKhZ_pR8PG6129dL1MehtyL13A"
    ),
    state_init=(
        "te6ccsECFgEAArEAAAUAEgAXABwAjgCTAJgAnQCsALsAwADOANkA6ADsAP4BdAH0AkECfAKGArECATQBFQEU/wD0pBP0"
        "vPLICwICASADDgIBSAQFAtzQINdJwSCRW49jINcLHyCCEGV4dG69IYIQc2ludL2wkl8D4IIQZXh0brqOtIAg1yEB0HTX"
        "IfpAMPpE+Cj6RDBYvZFb4O1E0IEBQdch9AWDB/QOb6ExkTDhgEDXIXB/2zzgMSDXSYECgLmRMOBw4hEQAgEgBg0CASAH"
        "CgIBbggJABmtznaiaEAg65Drhf/AABmvHfaiaEAQ65DrhY/AAgFICwwAF7Ml+1E0HHXIdcLH4AARsmL7UTQ1woAgABm+"
        "Xw9qJoQICg65D6AsAQLyDwEeINcLH4IQc2lnbrry4Ip/EAHmjvDtou37IYMI1yICgwjXIyCAINch0x/TH9Mf7UTQ0gDT"
        "HyDTH9P/1woACvkBQMz5EJoolF8K2zHh8sCH3wKzUAew8tCEUSW68uCFUDa68uCG+CO78tCIIpL4AN4BpH/IygDLHwHP"
        "FsntVCCS+A/ecNs82BED9u2i7fsC9AQhbpJsIY5MAiHXOTBwlCHHALOOLQHXKCB2HkNsINdJwAjy4JMg10rAAvLgkyDX"
        "HQbHEsIAUjCw8tCJ10zXOTABpOhsEoQHu/Lgk9dKwADy4JPtVeLSAAHAAJFb4OvXLAgUIJFwlgHXLAgcEuJSELHjDyDX"
        "ShITFACWAfpAAfpE+Cj6RDBYuvLgke1E0IEBQdcY9AUEnX/IygBABIMH9FPy4IuOFAODB/Rb8uCMItcKACFuAbOw8tCQ"
        "4shQA88WEvQAye1UAHIw1ywIJI4tIfLgktIA7UTQ0gBRE7ry0I9UUDCRMZwBgQFA1yHXCgDy4I7iyMoAWM8Wye1Uk/LA"
        "jeIAEJNb2zHh10zQAFGAAAAAP///iNmRmWSQOOp5PpbMN/y9nTAOgPToezNPvCY051sAxg72oEU1tz4="
    ),
)
TONKEEPER_V4_ON_MAINNET = TonProof(
    address="0:a0b96c234f6dede6d56df40ca81315bb73c30d1a9d9f8fbc14d440c73ef6d510",
    network="-239",
    public_key="7d53c25d85a600c5afb72a65131bc9c83e4fc4cbb1329452505937e2026bb05c",
    timestamp=1698873010,
    domain="getgems.io",
    domain_length=10,
    signature=(
        "eN9vr+Yv6vm5iBuC/daBC18PqwhGUAedtODHuaSh1VJBOKwrQ2ICOk/31YjDTUYxGaHZ7eT+L4dJN1oJGuK5AQ=="
    ),
    payload="gems",
    state_init=(
        "te6cckECFgEAAwQAAgE0AgEAUQAAAAApqaMXfVPCXYWmAMWvtyplExvJyD5PxMuxMpRSUFk34gJrsFxAART/APSkE/S8"
        "8sgLAwIBIAkEBPjygwjXGCDTH9Mf0x8C+CO78mTtRNDTH9Mf0//0BNFRQ7ryoVFRuvKiBfkBVBBk+RDyo/gAJKTIyx9S"
        "QMsfUjDL/1IQ9ADJ7VT4DwHTByHAAJ9sUZMg10qW0wfUAvsA6DDgIcAB4wAhwALjAAHAA5Ew4w0DpMjLHxLLH8v/CAcG"
        "BQAK9ADJ7VQAbIEBCNcY+gDTPzBSJIEBCPRZ8qeCEGRzdHJwdIAYyMsFywJQBc8WUAP6AhPLassfEss/yXP7AABwgQEI"
        "1xj6ANM/yFQgR4EBCPRR8qeCEG5vdGVwdIAYyMsFywJQBs8WUAT6AhTLahLLH8s/yXP7AAIAbtIH+gDU1CL5AAXIygcV"
        "y//J0Hd0gBjIywXLAiLPFlAF+gIUy2sSzMzJc/sAyEAUgQEI9FHypwICAUgTCgIBIAwLAFm9JCtvaiaECAoGuQ+gIYRw"
        "1AgIR6STfSmRDOaQPp/5g3gSgBt4EBSJhxWfMYQCASAODQARuMl+1E0NcLH4AgFYEg8CASAREAAZrx32omhAEGuQ64WP"
        "wAAZrc52omhAIGuQ64X/wAA9sp37UTQgQFA1yH0BDACyMoHy//J0AGBAQj0Cm+hMYALm0AHQ0wMhcbCSXwTgItdJwSCS"
        "XwTgAtMfIYIQcGx1Z70ighBkc3RyvbCSXwXgA/pAMCD6RAHIygfL/8nQ7UTQgQFA1yH0BDBcgQEI9ApvoTGzkl8H4AXT"
        "P8glghBwbHVnupI4MOMNA4IQZHN0crqSXwbjDRUUAIpQBIEBCPRZMO1E0IEBQNcgyAHPFvQAye1UAXKwjiOCEGRzdHKD"
        "HrFwgBhQBcsFUAPPFiP6AhPLassfyz/JgED7AJJfA+IAeAH6APQEMPgnbyIwUAqhIb7y4FCCEHBsdWeDHrFwgBhQBMsF"
        "Js8WWPoCGfQAy2kXyx9SYMs/IMmAQPsABpq/MVw="
    ),
)
"""Published at https://github.com/nervosnetwork/ckb-auth/blob/main/docs/toncoin.md; the other one
in b0mbdiggity/b0mbdiggity-nodejs-sandbox."""


@contextmanager
def refused(problem: str) -> Iterator[None]:
    with translation.override("en"), pytest.raises(InvalidTonProof, match=problem):
        yield


def verify(proof: TonProof, *, network: Network = "testnet", at: datetime = AT) -> str:
    return verify_ton_proof(proof, domain=DOMAIN, network=network, at=at)


def proof(wallet: ProvingWallet = WALLET, at: datetime = AT, **changes: Any) -> TonProof:
    return replace(wallet.prove(PAYLOAD, at=at), **changes)


@pytest.mark.parametrize(
    ("published", "network"),
    [(TONKEEPER_W5_ON_TESTNET, "testnet"), (TONKEEPER_V4_ON_MAINNET, "mainnet")],
)
def test_proofs_that_wallets_made_are_good(published: TonProof, network: Network) -> None:
    at = datetime.fromtimestamp(published.timestamp, UTC)

    def check(one: TonProof) -> str:
        return verify_ton_proof(one, domain=published.domain, network=network, at=at)

    assert check(published) == published.address
    with refused("signature"):
        check(replace(published, payload="another"))


@pytest.mark.parametrize(
    "kind",
    [
        *("WalletV1R1", "WalletV1R2", "WalletV1R3", "WalletV2R1", "WalletV2R2", "WalletV3R1"),
        *("WalletV3R2", "WalletV4R1", "WalletV4R2", "WalletV5Beta", "WalletV5R1"),
    ],
)
def test_every_kind_of_wallet_can_prove_its_address(kind: str) -> None:
    wallet = ProvingWallet("ann", getattr(strangers, kind))

    assert verify(proof(wallet)) == wallet.raw_address


@pytest.mark.parametrize("kind", ["WalletTg", "WalletHighloadV2", "WalletHighloadV3R1"])
def test_a_wallet_whose_key_we_cannot_know_is_refused(kind: str) -> None:
    with refused("kind of wallet"):
        verify(proof(ProvingWallet("ann", getattr(strangers, kind))))


@pytest.mark.parametrize("address", [WALLET.raw_address.upper(), "friendly"])
def test_any_form_of_the_address_will_do(address: str) -> None:
    if address == "friendly":
        address = friendly_address(WALLET.raw_address, network="testnet", bounceable=True)

    assert verify(proof(address=address)) == WALLET.raw_address


@pytest.mark.parametrize("away_s", [-901, -900, 900, 901])
def test_the_clock_may_be_15_minutes_away(away_s: int) -> None:
    made = proof(at=AT + timedelta(seconds=away_s))

    if abs(away_s) == 900:
        assert verify(made) == WALLET.raw_address
        return
    with refused("clock"):
        verify(made)


OTHER = ProvingWallet("eve")


def with_state(*, code_and_data: str = "00110", refs: int = 2) -> dict[str, str]:
    """A state init of an address of its own, and not one that wallets have."""
    cell = begin_cell()
    for bit in code_and_data:
        cell.store_bit(int(bit))
    for ref in WALLET.contract.state_init.serialize().refs[:refs]:
        cell.store_ref(ref)
    cell = cell.end_cell()
    return {
        "address": f"0:{cell.hash.hex()}",
        "state_init": base64.b64encode(cell.to_boc()).decode(),
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"network": "-239"}, "another TON network"),
        ({"network": ""}, "another TON network"),
        ({"domain": "app.advertmarket.com.evil.com"}, "another app"),
        ({"domain_length": len(DOMAIN) - 1}, "another app"),
        ({"timestamp": int(AT.timestamp()) + 1}, "signature"),
        ({"timestamp": 2**63 - 1}, "clock"),
        ({"payload": PAYLOAD + "!"}, "signature"),
        ({"address": OTHER.raw_address}, "not that of the address"),
        ({"address": "-1" + WALLET.raw_address[1:]}, "signature"),
        ({"state_init": OTHER.state_init}, "not that of the address"),
        ({"address": OTHER.raw_address, "state_init": OTHER.state_init}, "key"),
        ({"public_key": OTHER.prove("", at=AT).public_key}, "key"),
        ({"public_key": ""}, "key"),
        ({"signature": OTHER.prove(PAYLOAD, at=AT).signature}, "signature"),
        ({"signature": ""}, "signature"),
        ({"signature": "AAAA"}, "signature"),
        ({"signature": "ключ"}, "signature"),
        ({"state_init": ""}, "cannot be read"),
        ({"state_init": "?"}, "cannot be read"),
        ({"state_init": "ключ"}, "cannot be read"),
        ({"state_init": WALLET.state_init[:-8]}, "cannot be read"),
        (with_state(code_and_data="00111"), "kind of wallet"),
        (with_state(code_and_data="001100"), "kind of wallet"),
        (with_state(code_and_data="0011"), "kind of wallet"),
        (with_state(refs=1), "kind of wallet"),
    ],
)
def test_what_proves_nothing_is_refused(changes: dict[str, Any], problem: str) -> None:
    with refused(problem):
        verify(proof(**changes))


def test_a_proof_for_another_app_is_refused_though_it_is_well_signed() -> None:
    with refused("another app"):
        verify(WALLET.prove(PAYLOAD, at=AT, domain="evil.com"))


def test_a_key_of_ones_own_in_a_strangers_state_init_is_refused() -> None:
    """Eve signs well, but with a key that the address does not hold."""
    eves = OTHER.prove(PAYLOAD, at=AT)

    with refused("key"):
        verify(replace(eves, address=WALLET.raw_address, state_init=WALLET.state_init))


def test_a_proof_on_mainnet_is_refused_on_testnet() -> None:
    with refused("another TON network"):
        verify(proof(ProvingWallet("ann", testnet=False)))


def test_an_address_written_for_another_network_is_refused() -> None:
    with pytest.raises(InvalidTonAddress):
        verify(proof(address=friendly_address(WALLET.raw_address, network="mainnet")))


def fields() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.text(max_size=200) | st.binary(max_size=200).map(
        lambda noise: base64.b64encode(noise).decode()
    )
    bags = st.binary(max_size=200).map(
        lambda noise: base64.b64encode(bytes.fromhex("b5ee9c72") + noise).decode()
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "address": texts,
            "network": texts,
            "public_key": texts,
            "timestamp": st.integers(0, 2**63 - 1),
            "domain": texts,
            "domain_length": st.integers(0, 128),
            "payload": texts,
            "signature": texts,
            "state_init": texts | bags,
        },
    )


@given(fields())
def test_whatever_comes_in_is_refused_as_a_domain_error(changes: dict[str, Any]) -> None:
    good = proof()
    changed = replace(good, **changes)

    if changed == good:
        assert verify(changed) == WALLET.raw_address
        return
    with pytest.raises(DomainError):
        verify(changed)
