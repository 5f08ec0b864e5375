"""One's own money over HTTP: the sums, each transfer, and the owner's own retry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from payments import services
from payments.models import Settlement
from payments.sending.waiting import Waiting
from payments.ton import client as ton_client
from payments.wallets import refill_stock
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.advertmarket.conftest import sign_in
from tests.payments.bank import ACTOR, OWNER_ID, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.operations.desk import ADVERTISER_ID, Desk, nothing_changes

STRANGER_ID = 404


@pytest.fixture
def desk(bank: Bank) -> Iterator[Desk]:
    ton_client.reading.cache_clear()
    yield Desk(bank)
    ton_client.reading.cache_clear()


@pytest.fixture
def owner(bank: Bank) -> Client:
    return sign_in(OWNER_ID)


def get(client: Client, path: str) -> Any:
    return client.get(f"/api/v1/wallet/{path}")


def withdraw(client: Client, settlement: Settlement | UUID, key: str = "k", **body: Any) -> Any:
    pk = settlement if isinstance(settlement, UUID) else settlement.pk
    return client.post(
        "/api/v1/wallet/withdraw",
        {"id": str(pk), **body},
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


# --- what one sees --------------------------------------------------------------------------------


def test_the_summary_tells_what_is_held_owed_unclaimed_and_paid(
    desk: Desk, bank: Bank, owner: Client
) -> None:
    advertiser = PersonsWallet(f"advertiser {uuid4()}")
    bank.payout_due()
    bank.settle()
    desk.funded_by(advertiser)
    refill_stock(bank.client, at=timezone.now())
    bank.release(bank.funded_escrow())
    Settlement.objects.filter(state="QUEUED").update(
        unclaimed_since_at=timezone.now(), reminded_day=0
    )
    bank.release(bank.funded_escrow())

    assert get(owner, "summary").json() == {
        "inEscrowNano": "0",
        "owedNano": str(2 * OWNER_SHARE_NANO),
        "unclaimedNano": str(OWNER_SHARE_NANO),
        "paidNano": str(OWNER_SHARE_NANO),
    }
    assert get(sign_in(ADVERTISER_ID), "summary").json() == {
        "inEscrowNano": str(PRICE_NANO),
        "owedNano": "0",
        "unclaimedNano": "0",
        "paidNano": "0",
    }


def test_a_payout_is_shown_with_its_chain_transaction(bank: Bank, owner: Client) -> None:
    reference = bank.payout_due()
    bank.settle()

    [shown] = get(owner, "transactions").json()["items"]

    settlement = bank.settlement(reference)
    attempt = settlement.chain_transactions.get()
    assert shown.pop("createdAt").endswith("Z")
    assert shown.pop("confirmedAt").endswith("Z")
    assert shown == {
        "id": str(settlement.pk),
        "dealId": str(reference),
        "kind": "PAYOUT",
        "state": "CONFIRMED",
        "amountNano": str(OWNER_SHARE_NANO),
        "sentNano": str(OWNER_SHARE_NANO),
        "waitingFor": "",
        "waitingForText": "nothing",
        "txHash": attempt.tx_hash,
    }
    assert get(owner, f"transactions/{settlement.pk}").json()["txHash"] == attempt.tx_hash


def test_a_refund_is_shown_with_what_its_fee_left(desk: Desk, bank: Bank) -> None:
    reference = desk.funded_by(PersonsWallet(f"advertiser {uuid4()}"))
    with transaction.atomic():
        services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())
    bank.settle()

    [shown] = get(sign_in(ADVERTISER_ID), "transactions").json()["items"]

    assert (shown["kind"], shown["amountNano"]) == ("REFUND", str(PRICE_NANO))
    assert PRICE_NANO - 20_000_000 < int(shown["sentNano"]) < PRICE_NANO


def test_the_list_comes_in_pages_newest_first(bank: Bank, owner: Client) -> None:
    references = []
    for _ in range(3):
        references.append(str(bank.funded_escrow()))
        bank.release(UUID(references[-1]))

    first = get(owner, "transactions?limit=2").json()
    second = get(owner, f"transactions?limit=2&cursor={first['nextCursor']}").json()

    shown = [one["dealId"] for one in [*first["items"], *second["items"]]]
    assert shown == references[::-1]
    assert (first["hasNext"], second["hasNext"]) == (True, False)


def test_others_see_nothing_of_it(bank: Bank, owner: Client) -> None:
    reference = bank.payout_due()
    stranger = sign_in(STRANGER_ID)

    assert get(stranger, "transactions").json()["items"] == []
    pk = bank.settlement(reference).pk
    assert code(get(stranger, f"transactions/{pk}")) == (404, "NOT_FOUND")
    with nothing_changes():
        assert code(withdraw(stranger, pk)) == (404, "NOT_FOUND")


def test_what_operators_write_is_not_shown(desk: Desk, bank: Bank, owner: Client) -> None:
    reference = bank.payout_due()
    desk.on("settlement.hold", bank.settlement(reference), reason="a thief, I think")

    answer = get(owner, "transactions")

    [shown] = answer.json()["items"]
    assert shown["waitingFor"] == Waiting.OPERATOR
    assert b"thief" not in answer.content


def test_it_speaks_russian(bank: Bank) -> None:
    owner = sign_in(OWNER_ID, "ru")
    bank.payout_due()

    [shown] = get(owner, "transactions").json()["items"]

    assert shown["waitingFor"] == "TURN"
    assert "очереди" in shown["waitingForText"]


# --- the owner's retry ----------------------------------------------------------------------------


def test_an_unclaimed_payout_goes_to_the_address_that_its_owner_gives(
    desk: Desk, bank: Bank, owner: Client
) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())
    assert get(owner, f"transactions/{settlement.pk}").json()["waitingFor"] == "ADDRESS"

    body: dict[str, Any] = {"address": bank.owner.raw_address, "typedByHand": True}
    answers = [withdraw(owner, settlement, **body) for _ in range(2)]
    bank.settle()

    assert [answer.status_code for answer in answers] == [200, 200], answers[0].content
    assert answers[0].json() == answers[1].json()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_a_bounced_payout_goes_to_the_new_address_once_that_counts(
    desk: Desk, bank: Bank, owner: Client
) -> None:
    settlement = desk.bounced(bank.funded_escrow())
    assert get(owner, f"transactions/{settlement.pk}").json()["waitingFor"] == "OTHER_ADDRESS"

    answer = withdraw(owner, settlement, address=bank.owner.raw_address, typedByHand=True)
    bank.settle(turns=2)

    assert answer.json()["state"] == "QUEUED"
    assert bank.owner_has() == 0
    with bank.pass_time(24 * 3600 + 60):
        bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_the_address_that_sent_it_back_gets_it_no_second_time(
    desk: Desk, bank: Bank, owner: Client
) -> None:
    settlement = desk.bounced(bank.funded_escrow())

    with nothing_changes():
        assert code(withdraw(owner, settlement)) == (422, "INVALID_TON_ADDRESS")


@pytest.mark.thorough
def test_what_came_back_three_times_its_owner_sends_elsewhere_no_more(
    desk: Desk, bank: Bank, owner: Client
) -> None:
    bounced = desk.bounced(bank.funded_escrow())
    for _ in range(2):
        assert get(owner, f"transactions/{bounced.pk}").json()["waitingFor"] == "OTHER_ADDRESS"
        desk.on("settlement.release", bounced, held_for="the recipient's contract sent it back")
        bank.settle()

    shown = get(owner, f"transactions/{bounced.pk}").json()
    assert (shown["state"], shown["waitingFor"]) == ("HELD", "OPERATOR")
    bank.set_payout_address()
    with nothing_changes():
        assert code(withdraw(owner, bounced)) == (409, "INVALID_STATE_TRANSITION")
    desk.on(
        "settlement.release", bounced, held_for="recipients' contracts sent it back three times"
    )
    with bank.pass_time(24 * 3600 + 60):  # from when the changed address counts
        bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_without_an_address_nothing_is_withdrawn(desk: Desk, bank: Bank, owner: Client) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())

    with nothing_changes():
        assert code(withdraw(owner, settlement)) == (409, "CONFLICT")


def test_an_address_is_proved_or_typed_by_hand(desk: Desk, bank: Bank, owner: Client) -> None:
    settlement = desk.unclaimed(bank.funded_escrow())

    with nothing_changes():
        answer = withdraw(owner, settlement, address=bank.owner.raw_address)
    assert code(answer) == (409, "ADDRESS_NOT_PROVED")


def test_what_an_operator_holds_stays_held(desk: Desk, bank: Bank, owner: Client) -> None:
    bounced = desk.bounced(bank.funded_escrow())
    desk.on("settlement.hold", bounced)
    bank.set_payout_address()

    with nothing_changes():
        assert code(withdraw(owner, bounced)) == (409, "INVALID_STATE_TRANSITION")


def test_where_an_operator_said_where_to_the_owner_does_not(
    desk: Desk, bank: Bank, owner: Client
) -> None:
    bounced = desk.bounced(bank.funded_escrow())
    desk.on("settlement.change_destination", bounced, address="0:" + "ab" * 32)
    bank.set_payout_address()

    with nothing_changes():
        assert code(withdraw(owner, bounced)) == (409, "INVALID_STATE_TRANSITION")


def test_what_goes_out_by_itself_is_not_withdrawn(bank: Bank, owner: Client) -> None:
    reference = bank.payout_due()
    for _ in range(3):
        with nothing_changes():
            answer = withdraw(owner, bank.settlement(reference))
        assert code(answer) == (409, "INVALID_STATE_TRANSITION")
        bank.execute()
        bank.read()

    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_a_refund_is_not_withdrawn(desk: Desk, bank: Bank) -> None:
    reference = desk.funded_by(PersonsWallet(f"advertiser {uuid4()}"))
    with transaction.atomic():
        services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())

    with nothing_changes():
        answer = withdraw(
            sign_in(ADVERTISER_ID), bank.settlement(reference, Settlement.Kind.REFUND)
        )
    assert code(answer) == (404, "NOT_FOUND")
