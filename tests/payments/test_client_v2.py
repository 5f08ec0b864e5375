"""The door to the chain in API v2: its envelope, and what it does not believe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pytest_django.fixtures import Settings

from payments.sending.receipts import patiently
from payments.ton import client, client_v2
from payments.ton.api import SearchUnfinished, TonUnavailable
from payments.ton.client_v2 import TonClientV2
from payments.ton.schema_v2 import AddressInformation
from payments.ton.wallet import FeeQuestion
from tests.payments.bank import OWNER_SHARE_NANO, PollingBank
from tests.payments.server import Answer, Server, Sleeps

ADDRESS = "0:" + "1" * 64
QUESTION = FeeQuestion(body="", init_code="", init_data="")
LAST = {"lt": "5", "hash": "A" * 43 + "="}
ACCOUNT = AddressInformation.model_validate(
    {
        "balance": "1",
        "state": "active",
        "last_transaction_id": LAST,
        "block_id": {"workchain": -1, "shard": "0", "seqno": 7},
    }
)

CALLS: dict[str, Callable[[TonClientV2], object]] = {
    "head": lambda ton: ton.head(),
    "account_at": lambda ton: ton.account_at(ADDRESS, seqno=7),
    "history": lambda ton: list(ton.history(ADDRESS, ACCOUNT, after_lt=0)),
    "received": lambda ton: ton.received("ab" * 32, by=ADDRESS, after_lt=0),
    "wallet_state": lambda ton: ton.wallet_state(ADDRESS),
    "is_active": lambda ton: ton.is_active(ADDRESS),
    "estimate_fee": lambda ton: ton.estimate_fee(ADDRESS, QUESTION),
}


def result(of: Any) -> dict[str, Any]:
    return {"ok": True, "result": of}


MALFORMED: list[Any] = [
    b"",
    b"<html>502 Bad Gateway</html>",
    None,
    [],
    {},
    {"ok": False, "error": "no", "code": 500},
    {"ok": False, "result": {"balance": "1"}},
    {"result": {"balance": "1"}},
    result(None),
    result({}),
    result([None]),
    result([{"data": "!"}]),
    result([{"data": "AAAA"}]),
    result({"last": {"workchain": -1, "shard": "0", "seqno": "x"}, "balance": "1.5"}),
    result({"balance": {}, "state": 3, "account_state": [], "source_fees": {"gas_fee": "1"}}),
    result({"balance": "1", "state": "active", "last_transaction_id": {"lt": 1, "hash": "!"}}),
]


@pytest.fixture
def ton(server: Server) -> Iterator[TonClientV2]:
    ton = TonClientV2()
    ton._http.timeout = httpx.Timeout(0.5)
    yield ton
    ton.close()


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("name", CALLS)
def test_a_malformed_answer_is_no_answer(
    ton: TonClientV2, server: Server, name: str, body: Any
) -> None:
    server.answers = [Answer(body)]

    with pytest.raises(TonUnavailable, match="makes no sense"):
        CALLS[name](ton)


def test_an_error_is_tried_again_and_told(ton: TonClientV2, server: Server, sleeps: Sleeps) -> None:
    error = {"ok": False, "error": "LITE_SERVER_NOTREADY: block is not applied", "code": 500}
    server.answers = [Answer(error, 500)]

    with pytest.raises(TonUnavailable, match="getMasterchainInfo: 500 LITE_SERVER_NOTREADY"):
        ton.head()

    assert server.asked == ["getMasterchainInfo"] * 4


def test_a_broadcast_is_sent_once(ton: TonClientV2, server: Server, sleeps: Sleeps) -> None:
    server.answers = [Answer({"ok": False, "error": "exitcode=33", "code": 500}, 500)]

    assert ton.send("AA==") == "500 exitcode=33"

    assert server.asked == ["sendBocReturnHash"]


def test_a_history_that_ends_before_its_links_is_incomplete(
    ton: TonClientV2, server: Server
) -> None:
    server.answers = [Answer(result([]))]

    with pytest.raises(TonUnavailable, match="incomplete"):
        list(ton.history(ADDRESS, ACCOUNT, after_lt=0))


def test_an_account_that_is_nowhere_holds_nothing(ton: TonClientV2, server: Server) -> None:
    nowhere = ACCOUNT.model_dump() | {"balance": "-1"}
    nowhere["last_transaction_id"] = {"lt": "0", "hash": "A" * 43 + "="}
    server.answers = [Answer(result(nowhere))]

    account = ton.account_at(ADDRESS, seqno=7)

    assert (account.balance, account.is_nowhere) == (0, True)


@pytest.mark.parametrize(("version", "kind"), [("v2", TonClientV2), ("v3", client.TonClient)])
def test_the_setting_decides_who_speaks(
    settings: Settings, version: str, kind: type[object]
) -> None:
    settings.TON_API_VERSION = version
    made = [client.reading.__wrapped__(), client.for_payouts.__wrapped__()]

    assert [type(one) for one in made] == [kind, kind]

    for one in made:
        one.close()


# --- on the chain itself --------------------------------------------------------------------------


@pytest.fixture
def api_version() -> str:
    """Without v3."""
    return "v2"


def test_both_versions_see_the_same_wallet(bank: PollingBank) -> None:
    reference = bank.payout_due()
    bank.settle()
    address = bank.wallet(reference).address

    assert bank.v2.wallet_state(address) == bank.client.wallet_state(address)
    assert bank.v2.head() == bank.client.head()
    assert bank.v2.is_active(address)
    assert not bank.v2.is_active(bank.owner.raw_address)


def test_a_receipt_is_found_among_others(
    bank: PollingBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_v2, "PAGE", 2)
    bank.payout_due()
    bank.settle()
    [paid] = bank.chain.transactions(bank.owner.raw_address)
    for _ in range(5):
        bank.chain.faucet(bank.owner.raw_address, 1)
    [tx] = bank.client.account_chain_transactions([bank.owner.raw_address], after_lt=0)[:1]
    assert tx.in_msg is not None
    sent_lt = int(paid["in_msg"]["created_lt"]) - 1

    found = bank.v2.received(tx.in_msg.hash, by=bank.owner.raw_address, after_lt=sent_lt)

    assert tx.in_msg.value == OWNER_SHARE_NANO
    assert found is not None
    assert (found.lt, found.in_msg) == (tx.lt, tx.in_msg)
    assert bank.v2.received("ab" * 32, by=bank.owner.raw_address, after_lt=sent_lt) is None


@pytest.fixture
def busy(bank: PollingBank, monkeypatch: pytest.MonkeyPatch) -> PollingBank:
    """A look sees three messages, in pages of two."""
    monkeypatch.setattr(client_v2, "PAGE", 2)
    monkeypatch.setattr(client_v2, "MOST_SEARCHED", 3)
    return bank


def receive(bank: PollingBank, times: int) -> None:
    """Others send something to the owner."""
    for _ in range(times):
        bank.chain.faucet(bank.owner.raw_address, 1)


def hashes(bank: PollingBank) -> list[str]:
    """The messages that the owner received, oldest first."""
    address = bank.owner.raw_address
    received = bank.client.account_chain_transactions([address], after_lt=0)
    return [tx.in_msg.hash for tx in received if tx.in_msg is not None]


def looks(bank: PollingBank, msg_hash: str, at_most: int = 9) -> list[str]:
    """How often the owner's side is looked at until there is an answer, and what that is."""
    seen = []
    for _ in range(at_most):
        try:
            found = bank.v2.received(msg_hash, by=bank.owner.raw_address, after_lt=0)
        except SearchUnfinished:
            seen.append("unfinished")
        else:
            return [*seen, "found" if found else "missing"]
    return seen


def test_a_look_goes_on_where_the_last_one_stopped(busy: PollingBank) -> None:
    receive(busy, 10)
    first, *_, last = hashes(busy)

    assert looks(busy, last) == ["found"]
    assert looks(busy, first) == ["unfinished"] * 3 + ["found"]


def test_what_comes_meanwhile_keeps_no_search_from_its_end(busy: PollingBank) -> None:
    receive(busy, 5)
    [first, *_] = hashes(busy)
    assert looks(busy, first, at_most=1) == ["unfinished"]

    receive(busy, 9)

    assert looks(busy, first) == ["found"]


def test_what_was_looked_through_is_not_looked_at_again(busy: PollingBank) -> None:
    receive(busy, 7)
    assert looks(busy, "ab" * 32) == ["unfinished", "unfinished", "missing"]
    receive(busy, 2)

    assert looks(busy, "ab" * 32) == ["missing"]


def test_few_searches_are_remembered(busy: PollingBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_v2, "_MOST_SEARCHES", 2)
    receive(busy, 4)
    for number in range(5):
        looks(busy, f"{number:064x}")

    assert list(busy.v2._searches) == [f"{number:064x}" for number in (3, 4)]


def test_who_waits_at_a_terminal_is_answered_at_once(busy: PollingBank) -> None:
    receive(busy, 10)
    [first, *_] = hashes(busy)

    found = patiently(lambda: busy.v2.received(first, by=busy.owner.raw_address, after_lt=0))

    assert found is not None
    assert found.in_msg is not None
    assert found.in_msg.hash == first


def test_a_payout_to_a_busy_recipient_is_confirmed(busy: PollingBank) -> None:
    reference = busy.payout_due()
    busy.execute()
    busy.read()
    receive(busy, 8)
    assert busy.attempts(reference) == ["LANDED"]

    busy.execute()
    waits = busy.settlement(reference).waiting_for
    busy.execute()
    busy.execute()

    assert waits == "the recipient's side, among many messages"
    assert busy.attempts(reference) == ["CONFIRMED"]
    assert OWNER_SHARE_NANO in busy.owner_received()
