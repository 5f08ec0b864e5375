"""Signed transfers, read by a library that is not ours."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytoniq_core import Cell, begin_cell
from pytoniq_core.tlb.transaction import InternalMsgInfo, MessageAny

from payments.ton import wallet
from payments.ton.wallet import SignedTransfer, Signer
from tests.environment import VARIABLES

SIGNER = Signer(VARIABLES["TON_WALLET_MNEMONIC"])
RECIPIENT = "0:" + "5a" * 32
VALID_UNTIL = 1_800_000_000


def sign(
    *,
    subwallet: int = 7,
    seqno: int = 0,
    valid_until: int = VALID_UNTIL,
    destination: str = RECIPIENT,
    amount_nano: int = 90_000_000_000,
    comment: str = "",
    bounce: bool = False,
    deploy: bool = True,
) -> SignedTransfer:
    return SIGNER.sign_transfer(
        subwallet=subwallet,
        seqno=seqno,
        valid_until=valid_until,
        destination=destination,
        amount_nano=amount_nano,
        comment=comment,
        bounce=bounce,
        deploy=deploy,
    )


def parse(signed: SignedTransfer) -> MessageAny:
    return MessageAny.deserialize(Cell.one_from_boc(signed.boc).begin_parse())


def order_of(signed: SignedTransfer) -> tuple[dict[str, int], MessageAny]:
    body = parse(signed).body.begin_parse()
    body.load_bytes(64)
    fields = {
        "wallet_id": body.load_uint(32),
        "valid_until": body.load_uint(32),
        "seqno": body.load_uint(32),
        "mode": body.load_uint(8),
    }
    return fields, MessageAny.deserialize(body.load_ref().begin_parse())


def comment_of(message: MessageAny) -> str:
    part = message.body.begin_parse()
    assert part.load_uint(32) == 0
    text = bytearray()
    while True:
        text += part.load_bytes(part.remaining_bits // 8)
        if not part.remaining_refs:
            return text.decode()
        part = part.load_ref().begin_parse()


def test_a_transfer_says_exactly_what_was_asked() -> None:
    fields, order = order_of(sign(seqno=3, bounce=True, deploy=False))

    assert fields == {
        "wallet_id": 698_983_198,
        "valid_until": VALID_UNTIL,
        "seqno": 3,
        "mode": 3,
    }
    assert isinstance(order.info, InternalMsgInfo)
    assert order.info.value.grams == 90_000_000_000
    assert order.info.dest.to_str(is_user_friendly=False) == RECIPIENT
    assert order.info.bounce


def test_the_first_transfer_expires_too() -> None:
    assert order_of(sign(seqno=0))[0]["valid_until"] == VALID_UNTIL


def test_only_a_first_transfer_carries_the_state_init() -> None:
    assert parse(sign(deploy=True)).init is not None
    assert parse(sign(seqno=1, deploy=False)).init is None


def test_the_address_is_the_hash_of_the_state_init() -> None:
    init = parse(sign(subwallet=7)).init

    assert wallet.subwallet_address(SIGNER.public_key, 7) == f"0:{init.serialize().hash.hex()}"


def test_the_hashes_are_those_that_the_chain_will_show() -> None:
    signed = sign()
    cell = Cell.one_from_boc(signed.boc)
    message = parse(signed)
    normalized = (
        begin_cell()
        .store_uint(0b10, 2)
        .store_uint(0, 2)
        .store_address(message.info.dest)
        .store_coins(0)
        .store_bit(0)
        .store_bit(1)
        .store_ref(message.body)
        .end_cell()
    )

    assert signed.msg_hash == cell.hash.hex()
    assert signed.body_hash == message.body.hash.hex()
    assert signed.hash_norm == normalized.hash.hex()


@given(comment=st.text(max_size=400))
@hypothesis_settings(max_examples=50, deadline=None)
def test_a_comment_of_any_length_arrives_whole(comment: str) -> None:
    order = order_of(sign(comment=comment))[1]

    assert (comment_of(order) if comment else "") == comment


@given(
    amount_nano=st.integers(1, 2**63 - 1),
    seqno=st.integers(0, 2**32 - 1),
    subwallet=st.integers(0, 2**31 - 1),
)
@hypothesis_settings(max_examples=50, deadline=None)
def test_amount_seqno_and_subwallet_are_never_bent(
    amount_nano: int, seqno: int, subwallet: int
) -> None:
    fields, order = order_of(sign(amount_nano=amount_nano, seqno=seqno, subwallet=subwallet))

    assert order.info.value.grams == amount_nano
    assert (fields["seqno"], fields["wallet_id"]) == (seqno, 698_983_191 + subwallet)


@pytest.mark.parametrize("amount", [0, -1, 1.1, True, 2**63])
def test_an_amount_that_tonsdk_would_bend_is_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        sign(amount_nano=amount)


@pytest.mark.parametrize("valid_until", [0, 2**32 - 1, -5])
def test_a_transfer_without_an_end_is_refused(valid_until: int) -> None:
    with pytest.raises(ValueError, match="not a wallet message"):
        sign(valid_until=valid_until)


@pytest.mark.parametrize("subwallet", [-1, 2**31])
def test_a_subwallet_out_of_range_is_refused(subwallet: int) -> None:
    with pytest.raises(ValueError, match="no subwallet"):
        wallet.subwallet_address(SIGNER.public_key, subwallet)


def test_the_signer_is_never_shown_or_pickled() -> None:
    assert VARIABLES["TON_WALLET_MNEMONIC"].split()[0] not in repr(SIGNER)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(SIGNER)


def test_words_that_are_no_mnemonic_are_refused() -> None:
    with pytest.raises(ValueError, match="not a valid TON mnemonic"):
        Signer("abandon " * 24)


def test_the_fee_question_is_the_transfer_unsigned() -> None:
    question = wallet.fee_question(
        public_key=SIGNER.public_key,
        subwallet=7,
        seqno=0,
        valid_until=VALID_UNTIL,
        destination=RECIPIENT,
        amount_nano=90_000_000_000,
        comment="",
        bounce=False,
        deploy=True,
    )
    unsigned = Cell.one_from_boc(question.body).begin_parse()
    signed = parse(sign()).body.begin_parse()

    assert unsigned.load_bytes(64) == bytes(64)
    signed.load_bytes(64)
    assert unsigned.load_bits(104) == signed.load_bits(104)
    assert question.init_code
    assert question.init_data
