"""Every kind of settlement meets every fault of the chain's API, wherever it asks or sends.

Afterwards the chain judges: the recipient got the sum to the nano and once, and every wallet holds
what the books say. The operators' checks, the ledger's sum among them, follow each test as ever.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from payments.models import Settlement
from payments.ton.api import _READ_TRIES
from payments.ton.breaker import Breaker
from tests.payments.bank import Bank
from tests.payments.owing import WAYS, Kind
from tests.payments.walk.life import Life

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("sleeps")]


@dataclass(frozen=True)
class Calls:
    """The API's methods that a settlement calls, whatever its kind."""

    head: str
    source: str
    recipient: str
    broadcast: str
    receipt: str
    fee: str = "estimateFee"


CALLS = {
    "v3": Calls(
        head="masterchainInfo",
        source="walletInformation",
        recipient="addressInformation",
        broadcast="message",
        receipt="transactionsByMessage",
    ),
    "v2": Calls(
        head="getMasterchainInfo",
        source="getWalletInformation",
        recipient="getAddressInformation",
        broadcast="sendBocReturnHash",
        receipt="getAddressInformation",
    ),
}

Fault = dict[str, Any]

NO_ANSWER: dict[str, Fault] = {
    "500": {"kind": "error", "status": 500},
    "429": {"kind": "error", "status": 429},
    "closed": {"kind": "error", "status": 0},
}
BEHIND: Fault = {"kind": "lagging", "blocks": 1000}
"""A node that has seen nothing since the chain began."""

SENDING: dict[str, Fault] = NO_ANSWER | {
    "done-500": {"kind": "lost_answer", "status": 500},
    "done-closed": {"kind": "lost_answer", "status": 0},
    "swallowed": {"kind": "swallow"},
    "held": {"kind": "hold", "blocks": 3},
}

ATTEMPTS_WHEN_LATE = {"closed": 2, "done-500": 1, "swallowed": 2, "held": 2}
"""What can become of a message, and how many are signed if nobody looks before it has expired."""


@pytest.fixture(params=["v3", pytest.param("v2", marks=pytest.mark.slow)])
def api_version(request: pytest.FixtureRequest) -> str:
    """Each way of speaking with the chain."""
    version: str = request.param
    return version


@pytest.fixture
def calls(api_version: str) -> Calls:
    return CALLS[api_version]


class Debt:
    """The one settlement that a test looks at, beside what the chain showed before."""

    def __init__(self, bank: Bank, kind: Kind) -> None:
        way = WAYS[kind]
        self._bank = bank
        self.settlement = bank.settlement(way.owe(bank), kind)
        self._source = self.settlement.wallet
        self._to = way.to(bank, self.settlement)
        self._nano = way.nano(bank, self.settlement)
        self._bears_its_fee = way.bears_its_fee
        self._arrived_before = len(bank.received_at(self._to))
        self._fees_before_nano = bank.fees(self._source)

    def step(self) -> None:
        """A worker whose breaker knows nothing takes one step with this settlement alone."""
        now = timezone.now()
        Settlement.objects.update(due_at=now + dt.timedelta(hours=1))
        Settlement.objects.filter(pk=self.settlement.pk).update(due_at=now)
        self._bank.api._breaker = Breaker()
        assert self._bank.executor().run(at_most=2) == 1

    def meets(self, method: str, fault: Fault) -> None:
        """A step in which every call of `method` goes wrong; there must be one."""
        self._bank.chain.fault(method, **fault)
        self.step()
        assert self._bank.chain.due_faults() == 0

    def assert_paid_once(self, *, attempts: int = 1) -> None:
        """The chain shows one transfer, of the right sum, and the books say the same."""
        bank, source = self._bank, self._source
        [received] = bank.received_at(self._to)[self._arrived_before :]
        kept_nano = self._nano - received
        fee_nano = bank.fees(source) - self._fees_before_nano if self._bears_its_fee else 0
        assert fee_nano <= kept_nano <= fee_nano * 5 // 4
        assert bank.client.wallet_state(source.address).seqno == source.expected_seqno + 1
        self.settlement.refresh_from_db()
        assert self.settlement.state == Settlement.State.CONFIRMED
        states = self.settlement.chain_transactions.order_by("pk").values_list("state", flat=True)
        assert list(states) == ["EXPIRED"] * (attempts - 1) + ["CONFIRMED"]
        assert bank.off_the_chain() == {}


def live_on(life: Life) -> None:
    """Executor and reader take turns until nothing is owed any more, and once again much later."""
    for _ in range(12):
        life.pass_time(5)
        life.bank.execute()
        life.bank.read()
        if not Settlement.objects.filter(state__in=Settlement.WORKING).exists():
            break
    life.pass_time(200)
    life.bank.settle(turns=1)


@pytest.mark.parametrize("fault", NO_ANSWER.values(), ids=NO_ANSWER)
@pytest.mark.parametrize("kind", Kind)
def test_no_question_is_answered(life: Life, calls: Calls, kind: Kind, fault: Fault) -> None:
    """Each of them in its turn, as often as it is asked again at once."""
    debt = Debt(life.bank, kind)
    unanswered = {**fault, "times": _READ_TRIES}
    for question in (calls.head, calls.source, calls.recipient, calls.fee):
        debt.meets(question, unanswered)
    assert not debt.settlement.chain_transactions.exists()
    debt.step()
    life.bank.chain.mine()
    life.bank.read()
    debt.meets(calls.receipt, unanswered)

    live_on(life)

    debt.assert_paid_once()


@pytest.mark.parametrize("kind", Kind)
def test_a_node_is_behind(life: Life, calls: Calls, kind: Kind) -> None:
    """Whatever is asked of it; a fee is emulated on what is now, and a broadcast asks nothing."""
    debt = Debt(life.bank, kind)
    life.pass_time(40)  # it is further behind than clocks may differ
    for question in (calls.head, calls.source):
        debt.meets(question, BEHIND)
    assert not debt.settlement.chain_transactions.exists()
    debt.meets(calls.recipient, BEHIND)
    life.bank.chain.mine()
    life.bank.read()
    debt.meets(calls.receipt, BEHIND)
    assert [row.state for row in debt.settlement.chain_transactions.all()] == ["LANDED"]

    live_on(life)

    debt.assert_paid_once()


@pytest.mark.parametrize("fault", SENDING.values(), ids=SENDING)
@pytest.mark.parametrize("kind", Kind)
def test_the_broadcast_fails_and_so_does_its_repeat(
    life: Life, calls: Calls, kind: Kind, fault: Fault
) -> None:
    debt = Debt(life.bank, kind)
    debt.meets(calls.broadcast, fault)
    life.pass_time(15)
    debt.meets(calls.broadcast, fault)

    live_on(life)

    debt.assert_paid_once()


@pytest.mark.parametrize("fault", ATTEMPTS_WHEN_LATE)
@pytest.mark.parametrize("kind", Kind)
def test_the_broadcast_fails_and_nobody_looks_before_it_has_expired(
    life: Life, calls: Calls, kind: Kind, fault: str
) -> None:
    debt = Debt(life.bank, kind)
    debt.meets(calls.broadcast, SENDING[fault])
    life.bank.chain.mine()
    life.pass_time(200)

    live_on(life)

    debt.assert_paid_once(attempts=ATTEMPTS_WHEN_LATE[fault])
