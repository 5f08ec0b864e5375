from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advertmarket.telegram.callbacks import DealCallback, InvalidCallback, pack, unpack

DEAL = UUID("6f1c2d3e-4a5b-4c6d-8e7f-001122334455")


def test_data_is_action_deal_and_version() -> None:
    assert pack("accept", DEAL, 3) == "accept:bxwtPkpbTG2OfwARIjNEVQ:3"


@given(st.uuids(), st.integers(min_value=0, max_value=10**10 - 1))
def test_what_was_packed_is_read_back(deal_id: UUID, version: int) -> None:
    data = pack("request_revision", deal_id, version)

    assert len(data.encode()) <= 64
    assert unpack(data) == DealCallback("request_revision", deal_id, version)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "accept",
        "accept:bxwtPkpbTG2OfwARIjNEVQ",
        "accept:bxwtPkpbTG2OfwARIjNEVQ:-1",
        "accept:bxwtPkpbTG2OfwARIjNEVQ:1:2",
        "accept:bxwtPkpbTG2OfwARIjNEV:1",
        "accept:bxwtPkpbTG2OfwARIjNE+Q:1",
        "accept:bxwtPkpbTG2OfwARIjNEVQ:١",
        "Accept:bxwtPkpbTG2OfwARIjNEVQ:1\n",
    ],
)
def test_what_was_not_packed_is_refused(data: str) -> None:
    with pytest.raises(InvalidCallback):
        unpack(data)


@pytest.mark.parametrize(
    ("action", "version"), [("a:b", 1), ("", 1), ("accept", -1), ("a" * 40, 1), ("принять", 1)]
)
def test_what_could_not_be_read_back_is_not_packed(action: str, version: int) -> None:
    with pytest.raises(InvalidCallback):
        pack(action, DEAL, version)
