"""Chain transactions out of their cells: as another library, and as v3, reads them."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytoniq_core import Address, Builder, Cell, HashMap, begin_cell
from pytoniq_core.tlb.transaction import Transaction

from payments.ton.api import TonUnavailable
from payments.ton.cells import cell_hash, parse_boc
from payments.ton.chain_transaction import read_chain_transaction
from payments.ton.schema import ChainTransaction
from sandbox.ton.messages import Message, raw_address
from tests.payments.bank import PollingBank
from tests.payments.contracts import deploy_refuser

ACCOUNT = "0:" + "ab" * 32
LIBRARY = Cell(begin_cell().store_uint(2, 8).store_uint(7, 256).end_cell().bits, [], 2)


@pytest.fixture
def api_version() -> str:
    """Without v3."""
    return "v2"


def read(cell: Any, **changes: Any) -> ChainTransaction:
    """Read a transaction of ACCOUNT as v2 shows it."""
    lt = cell.begin_parse().skip_bits(4 + 256).load_uint(64)
    asked: dict[str, Any] = {
        "account": ACCOUNT,
        "lt": lt,
        "tx_hash": cell.hash.hex(),
        "seqno": 7,
    }
    return read_chain_transaction(_base64(cell), **asked | changes)


def _base64(cell: Any) -> str:
    return base64.b64encode(_boc(cell)).decode()


def _boc(root: Any) -> bytes:
    """Each cell once, parents first; the library's own visits each reference."""
    seen: dict[bytes, Any] = {}

    def visit(cell: Any) -> None:
        if cell.hash not in seen:
            for ref in cell.refs:
                visit(ref)
            seen[cell.hash] = cell

    visit(root)
    ordered = list(reversed(seen.values()))
    places = {cell.hash: place for place, cell in enumerate(ordered)}
    cells = b"".join(
        cell.get_descriptors(cell.level_mask)
        + cell.get_data_bytes()
        + b"".join(places[ref.hash].to_bytes(2, "big") for ref in cell.refs)
        for cell in ordered
    )
    counts = b"".join(number.to_bytes(2, "big") for number in (len(ordered), 1, 0))
    return bytes.fromhex("b5ee9c720204") + counts + len(cells).to_bytes(4, "big") + bytes(2) + cells


# --- as v3 shows it -------------------------------------------------------------------------------


def test_both_versions_show_the_same_chain_transactions(bank: PollingBank) -> None:
    """A deposit, a payout that arrives, one that bounces, dust, comments, a re-wrapped message."""
    bank.set_payout_address(comment="за рекламу")
    paid = bank.funded_escrow()
    bank.release(paid)
    bank.execute()
    bank.chain.rewrap(address=bank.wallet(paid).address)
    bank.settle()
    bank.chain.faucet(bank.wallet(paid).address, 1, "x" * 200, bounce=True)
    refuser = deploy_refuser(bank)
    bank.chain.faucet(refuser, 0, bounce=True)
    bank.chain.faucet(refuser, 10**9, bounce=True)
    bank.read()

    for address in (bank.wallet(paid).address, bank.owner.raw_address, refuser):
        account = bank.v2.account_at(address, seqno=bank.v2.head().seqno)
        of_v2 = list(bank.v2.history(address, account, after_lt=0))
        of_v3 = bank.client.account_chain_transactions([address], after_lt=0)
        assert of_v2[0].balance_after == of_v3[-1].balance_after
        assert [_comparable(tx) for tx in reversed(of_v2)] == [_comparable(tx) for tx in of_v3]
        assert len(of_v2) >= 1


def _comparable(tx: ChainTransaction) -> dict[str, Any]:
    """All but what v2 does not tell; of a bounce phase, only its type is relied on."""
    shown = tx.model_dump(exclude={"mc_block_seqno", "account_state_after"})
    bounce = shown["description"]["bounce"]
    shown["description"]["bounce"] = bounce and bounce["type"]
    return shown


# --- as another library reads it ------------------------------------------------------------------


def _cell_of(refs: list[Any]) -> Any:
    builder = begin_cell().store_uint(5, 3)
    for ref in refs:
        builder.store_ref(ref)
    return builder.end_cell()


coins = st.integers(0, 2**120 - 1)
words = st.integers(0, 2**32 - 1)
longs = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
bits = st.booleans()
bodies = st.recursive(
    st.binary(max_size=20).map(lambda raw: begin_cell().store_bytes(raw).end_cell())
    | st.just(LIBRARY),
    lambda inner: st.lists(inner, max_size=3).map(_cell_of),
)
addresses = st.builds(
    lambda workchain, account: Address((workchain, account)), st.sampled_from([0, -1]), hashes
)


def _maybe(builder: Builder, draw: st.DrawFn, value: st.SearchStrategy[int]) -> None:
    given_ = draw(bits)
    builder.store_bit(given_)
    if given_:
        builder.store_coins(draw(value))


def _currencies(builder: Builder, draw: st.DrawFn) -> None:
    builder.store_coins(draw(coins))
    others = HashMap(32, value_serializer=lambda one, to: to.store_var_uint(one, 5))
    if draw(bits):
        others.set_int_key(draw(words), draw(st.integers(1, 2**60)))
    builder.store_dict(others.serialize())


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """Any message: from inside, from outside, to the outside."""
    kind = draw(st.sampled_from(["internal", "inbound", "outbound"]))
    builder = begin_cell()
    if kind == "internal":
        builder.store_bit(0)
        for _ in range(3):
            builder.store_bit(draw(bits))
        builder.store_address(draw(addresses)).store_address(draw(addresses))
        _currencies(builder, draw)
        builder.store_coins(draw(coins)).store_coins(draw(coins))
        builder.store_uint(draw(longs), 64).store_uint(draw(words), 32)
    elif kind == "inbound":
        builder.store_uint(0b10, 2).store_uint(0, 2).store_address(draw(addresses))
        builder.store_coins(draw(coins))
    else:
        builder.store_uint(0b11, 2).store_address(draw(addresses)).store_uint(0, 2)
        builder.store_uint(draw(longs), 64).store_uint(draw(words), 32)
    init = draw(st.sampled_from(["none", "here", "apart"]))
    builder.store_bit(init != "none")
    if init != "none":
        state = begin_cell().store_uint(0, 2).store_maybe_ref(draw(bodies))
        state = state.store_maybe_ref(None).store_bit(0).end_cell()
        builder.store_bit(init == "apart")
        builder = builder.store_ref(state) if init == "apart" else builder.store_cell(state)
    body = draw(bodies)
    fits = not body.is_exotic and len(body.bits) < builder.available_bits
    is_apart = draw(bits) or not fits or len(body.refs) > builder.available_refs
    builder.store_bit(is_apart)
    builder = builder.store_ref(body) if is_apart else builder.store_cell(body)
    return builder.end_cell()


@st.composite
def descriptions(draw: st.DrawFn) -> Any:
    """How an ordinary transaction went."""
    builder = begin_cell().store_uint(0, 4).store_bit(draw(bits))
    has_storage = draw(bits)
    builder.store_bit(has_storage)
    if has_storage:
        builder.store_coins(draw(coins))
        _maybe(builder, draw, coins)
        change = draw(st.sampled_from(["0", "10", "11"]))
        builder.store_uint(int(change, 2), len(change))
    has_credit = draw(bits)
    builder.store_bit(has_credit)
    if has_credit:
        _maybe(builder, draw, coins)
        _currencies(builder, draw)
    skipped = draw(st.sampled_from(["", "00", "01", "10", "110"]))
    builder.store_bit(not skipped)
    if skipped:
        builder.store_uint(int(skipped, 2), len(skipped))
    else:
        builder.store_uint(draw(st.integers(0, 7)), 3).store_coins(draw(coins))
        run = begin_cell().store_uint(0, 3).store_uint(0, 3).store_bit(0).store_uint(0, 8)
        run.store_uint(0, 32).store_bit(0).store_uint(0, 32).store_bytes(bytes(64))
        builder.store_ref(run.end_cell())
    builder.store_bit(0)  # no action phase
    builder.store_bit(draw(bits))
    bounce = draw(st.sampled_from(["none", "negfunds", "nofunds", "ok"]))
    builder.store_bit(bounce != "none")
    if bounce != "none":
        tag = {"negfunds": "00", "nofunds": "01", "ok": "1"}[bounce]
        builder.store_uint(int(tag, 2), len(tag))
    if bounce in ("nofunds", "ok"):
        builder.store_uint(0, 3).store_uint(0, 3).store_coins(draw(coins))
    if bounce == "ok":
        builder.store_coins(draw(coins))
    builder.store_bit(draw(bits))
    return builder.end_cell()


@st.composite
def transactions(draw: st.DrawFn) -> Any:
    """Any transaction of ACCOUNT."""
    in_message = draw(st.none() | messages())
    out = HashMap(15, value_serializer=lambda one, to: to.store_ref(one))
    sent = draw(st.lists(messages(), max_size=4))
    for number, message in enumerate(sent):
        out.set_int_key(number * draw(st.sampled_from([1, 5000])), message)
    shown = begin_cell().store_maybe_ref(in_message).store_dict(out.serialize()).end_cell()
    builder = begin_cell().store_uint(0b0111, 4).store_bytes(bytes.fromhex(ACCOUNT[2:]))
    builder.store_uint(draw(longs), 64).store_bytes(draw(hashes)).store_uint(draw(longs), 64)
    builder.store_uint(draw(words), 32).store_uint(len(sent), 15)
    builder.store_uint(draw(st.integers(0, 15)), 4).store_ref(shown)
    _currencies(builder, draw)
    update = begin_cell().store_uint(0x72, 8).store_bytes(bytes(64)).end_cell()
    return builder.store_ref(update).store_ref(draw(descriptions())).end_cell()


@pytest.mark.thorough
@settings(max_examples=150, deadline=None)
@given(transactions())
def test_another_library_reads_the_same(cell: Any) -> None:
    theirs: Any = Transaction.deserialize(cell.begin_parse())
    ours = read(cell)

    assert (ours.lt, ours.prev_trans_lt, ours.prev_trans_hash, int(ours.now.timestamp())) == (
        theirs.lt,
        theirs.prev_trans_lt,
        theirs.prev_trans_hash.hex(),
        theirs.now,
    )
    assert (ours.hash, ours.total_fees) == (cell.hash.hex(), theirs.total_fees.grams)
    assert ours.description.aborted == theirs.description.aborted
    bounce = theirs.description.bounce
    assert ours.description.bounce == (bounce and {"type": bounce.type_})
    parts = cell.refs[0].begin_parse()
    in_message = parts.load_maybe_ref()
    sent = parts.load_dict(15, value_deserializer=lambda value: value.load_ref()) or {}
    assert (ours.in_msg and ours.in_msg.model_dump()) == (in_message and _told(in_message))
    assert [one.model_dump() for one in ours.out_msgs] == [_told(sent[key]) for key in sorted(sent)]


def _told(cell: Any) -> dict[str, Any]:
    """A message as the other library reads it."""
    message = Message(cell)
    info, body = message.content.info, message.content.body
    internal = message.is_internal
    return {
        "hash": cell.hash.hex(),
        "hash_norm": message.normalized_hash.hex() if message.is_external else "",
        "source": "" if message.is_external else raw_address(info.src),
        "destination": raw_address(info.dest) if info.dest else "",
        "value": info.value.grams if internal else 0,
        "fwd_fee": info.fwd_fee if internal else 0,
        "bounced": info.bounced if internal else None,
        "opcode": None if body.is_exotic else message.opcode,
        "message_content": {"hash": body.hash.hex()},
    }


# --- what is not believed -------------------------------------------------------------------------

ONE = begin_cell().store_uint(1, 1).end_cell()


@pytest.mark.thorough
@settings(max_examples=300, deadline=None)
@given(transactions(), st.data())
def test_whatever_a_changed_one_is_it_is_never_anything_but_unavailable(
    cell: Any, data: st.DataObject
) -> None:
    boc = bytearray(_boc(cell))
    for _ in range(data.draw(st.integers(1, 4))):
        boc[data.draw(st.integers(0, len(boc) - 1))] = data.draw(st.integers(0, 255))
    changed = base64.b64encode(boc[: data.draw(st.integers(0, len(boc)))]).decode()

    with suppress(TonUnavailable):
        read_chain_transaction(changed, account=ACCOUNT, lt=1, tx_hash=cell.hash.hex(), seqno=7)


@pytest.mark.parametrize("data", ["", "!", "AAAA", "te6ccgEBAQEAAgAAAA==", "ключ"])
def test_what_is_no_transaction_is_said_so(data: str) -> None:
    with pytest.raises(TonUnavailable, match="makes no sense"):
        read_chain_transaction(data, account=ACCOUNT, lt=1, tx_hash="ab" * 32, seqno=7)


def _plain(in_message: Any = None, lt: int = 5) -> Any:
    shown = begin_cell().store_maybe_ref(in_message).store_bit(0).end_cell()
    builder = begin_cell().store_uint(0b0111, 4).store_bytes(bytes.fromhex(ACCOUNT[2:]))
    builder.store_uint(lt, 64).store_bytes(bytes(32)).store_uint(0, 64).store_uint(1, 32)
    builder.store_uint(0, 19).store_ref(shown).store_coins(0).store_bit(0)
    description = begin_cell().store_uint(0, 7).store_uint(0, 3).store_uint(0, 4).end_cell()
    return builder.store_ref(ONE).store_ref(description).end_cell()


@pytest.mark.parametrize(
    "changes", [{"lt": 6}, {"tx_hash": "ab" * 32}, {"account": "0:" + "cd" * 32}]
)
def test_another_one_than_asked_for_is_not_taken(changes: dict[str, Any]) -> None:
    assert read(_plain()).lt == 5

    with pytest.raises(TonUnavailable, match="another chain transaction"):
        read(_plain(), **changes)


# --- what strangers can send ----------------------------------------------------------------------


def _carrying(body: Any, nano: int = 5) -> Any:
    """A message with this body."""
    sender = Address("0:" + "cd" * 32)
    builder = begin_cell().store_uint(0, 4).store_address(sender).store_address(Address(ACCOUNT))
    builder.store_coins(nano).store_uint(0, 1 + 4 + 4 + 64 + 32 + 1)
    return builder.store_bit(1).store_ref(body).end_cell()


def test_cells_referred_to_twice_over_and_over_are_hashed_once() -> None:
    """Hashed for each reference, 400 levels take longer than the universe will last."""
    body = ONE
    for _ in range(400):
        body = begin_cell().store_ref(body).store_ref(body).end_cell()
    message = _carrying(body)

    tx = read(_plain(message))

    assert tx.in_msg is not None
    assert (tx.in_msg.hash, tx.in_msg.value) == (message.hash.hex(), 5)
    assert tx.in_msg.body_hash == body.hash.hex()


def test_a_message_with_a_proof_in_it_has_no_hash_and_counts_all_the_same() -> None:
    pruned = begin_cell().store_uint(1, 8).store_uint(1, 8).store_bytes(ONE.hash).store_uint(0, 16)
    proof = begin_cell().store_uint(3, 8).store_bytes(ONE.hash).store_uint(0, 16)
    pruned_cell = Cell(pruned.end_cell().bits, [], 1)
    cell = _plain(_carrying(Cell(proof.end_cell().bits, [pruned_cell], 3)))

    tx = read(cell)

    assert tx.in_msg is not None
    assert (tx.in_msg.value, tx.in_msg.hash, tx.in_msg.body_hash) == (5, "", "")
    assert tx.hash == cell.hash.hex()


def test_a_cell_that_contains_itself_is_refused() -> None:
    boc = bytes.fromhex("b5ee9c72" + "01" + "01" + "01" + "01" + "00" + "03" + "00" + "010000")

    with pytest.raises(ValueError, match="deeper"):
        cell_hash(parse_boc(boc))
