"""The faults: each one is a mistake that somebody once made with other people's money."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """What is planted: in `file`, each text is replaced by the other; `tests` should notice."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]


def _one(name: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    return Mutation(name, f"payments/{file}.py", ((old, new),), _paths(tests))


def _paths(tests: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"tests/payments/{name}.py" for name in tests)


_FRESH_SEQNO = (
    ("if sight.seqno > wallet.expected_seqno:", "if False:"),
    ("if sight.is_behind(wallet):", "if False:"),
    (
        "seqno=wallet.expected_seqno,\n            valid_until=int",
        "seqno=sight.seqno,\n            valid_until=int",
    ),
)

MUTATIONS = (
    Mutation(
        "a new attempt takes the seqno that a node shows",
        "payments/sending/executor.py",
        _FRESH_SEQNO,
        _paths(("test_payouts", "test_races")),
    ),
    _one(
        "signed anew before the last one can land no more",
        "sending/executor",
        "cursor.block_at > attempt.valid_until_at + EXPIRY_MARGIN",
        "cursor.block_at > attempt.valid_until_at - VALIDITY",
        "test_payouts",
        "test_races",
    ),
    Mutation(
        "what landed is taken for sent, whatever it sent",
        "payments/chain/booking.py",
        (
            (
                "attempt.sent_nano = sent.value if sent else 0",
                "attempt.sent_nano = attempt.amount_nano",
            ),
            ("LANDED if sent else TonTransaction.State.FAILED", "LANDED"),
            ("    if sent:\n        post_sent(", "    if attempt:\n        post_sent("),
        ),
        _paths(("test_payouts", "test_reader")),
    ),
    _one(
        "own messages are known by their plain hash",
        "chain/booking",
        "hash_norm=tx.in_msg.hash_norm",
        "msg_hash=tx.in_msg.hash",
        "test_payouts",
        "test_races",
    ),
    _one(
        "a refund sends what the wallet has",
        "sending/transfers",
        "sent = min(owed, free_nano) - quote_nano",
        "sent = available_nano - quote_nano",
        "test_refunds",
    ),
    _one(
        "a sweep leaves nothing for its fee",
        "sending/transfers",
        "available_nano - debts - quote_nano)",
        "available_nano - debts)",
        "test_treasury",
    ),
    _one(
        "send mode 128 takes along what arrives meanwhile",
        "ton/wallet",
        "SEND_MODE = 3",
        "SEND_MODE = 128",
        "test_wallet",
        "test_payouts",
    ),
    _one(
        "a journal's key holds a state, which changes",
        "services",
        'key=f"release:{reference}"',
        'key=f"release:{reference}:{escrow.state}"',
        "test_services",
        "test_races",
    ),
    _one(
        "late deposits are ignored",
        "deposits/allocation",
        "        _give_back_late(escrow, deposit, actor, at)\n",
        "",
        "test_late_deposits",
    ),
    Mutation(
        "an empty answer is taken for an empty block",
        "payments/chain/reader.py",
        (
            ("        if not own:\n", "        if seqno > head.seqno:\n"),
            (
                "max(client.whole(tx).now for tx in own)",
                "max((client.whole(tx).now for tx in own), default=head.gen_utime)",
            ),
        ),
        _paths(("test_reader",)),
    ),
    _one(
        "the expected seqno is not counted on",
        "chain/booking",
        "        wallet.expected_seqno += 1\n",
        "        pass\n",
        "test_payouts",
    ),
    Mutation(
        "released and refunded",
        "payments/services.py",
        (
            ("if escrow.state not in (Escrow.State.FUNDED, or_decided):", "if False:"),
            ("if escrow.state != Escrow.State.FUNDED and not", "if False and not"),
        ),
        _paths(("test_services", "test_refunds")),
    ),
    _one(
        "released once more after operators gave it back",
        "services",
        "if escrow.state not in (Escrow.State.FUNDED, or_decided):",
        "if escrow.funded_nano is None:",
        "operations/test_settlements",
    ),
    Mutation(
        "a restored backup pays again: neither freeze nor seqno stop it",
        "payments/sending/executor.py",
        (
            ("if settlement.wallet.frozen_at is not None:", "if False:"),
            ("        if wallet.frozen_at is not None:", "        if False:"),
            *_FRESH_SEQNO,
        ),
        _paths(("test_restore",)),
    ),
    _one(
        "the pause is not read before the broadcast",
        "sending/executor",
        "self._client.send(boc, refuse=refuse_if_paused)",
        "self._client.send(boc)",
        "test_payouts",
        "test_races",
    ),
    _one(
        "a lost lease is not noticed",
        "sending/executor",
        "if settlement.lease_owner != self._lease:",
        "if False:",
        "test_races",
    ),
    _one(
        "every refund is written off as dust",
        "sending/transfers",
        "if owed < quote_nano + DUST_NANO:",
        "if owed:",
        "test_refunds",
    ),
    _one(
        "a jetton notice is a deposit",
        "chain/booking",
        " and not message.is_jetton_notice",
        "",
        "test_strangers",
    ),
    _one(
        "what bounced is a deposit",
        "chain/booking",
        "    if message.bounced:\n        account",
        "    if False:\n        account",
        "test_bounces",
    ),
    _one(
        "confirmed although the recipient sent it back",
        "sending/executor",
        "if received.bounced_back:",
        "if False:",
        "test_bounces",
    ),
    _one(
        "the address may change while the chain is asked",
        "sending/executor",
        "if destination != destination_of(settlement, at=now):",
        "if False:",
        "test_races",
    ),
    _one(
        "limits count nothing",
        "sending/limits",
        "if (signed or 0) + sent_nano > most[name]:",
        "if (signed or 0) + sent_nano > most[name] and False:",
        "test_limits",
    ),
    _one(
        "what comes above the price is escrow too",
        "deposits/allocation",
        "funded = min(received, escrow.price_nano)",
        "funded = received",
        "test_overpayments",
    ),
    _one(
        "commission of a split is taken on the advertiser's part too",
        "services",
        "commission = owner_gross_nano * commission_rate_bp // 10_000",
        "commission = escrow.funded_nano * commission_rate_bp // 10_000",
        "test_refunds",
    ),
    _one(
        "a deposit does not wait for its confirmations",
        "deposits/rule",
        " or deposit.confirmed_at_seqno > cursor.head_seqno",
        "",
        "test_deposits",
    ),
    _one(
        "one person approves what they asked for",
        "operations/requests",
        "if request.requested_by == operator_id:",
        "if False:",
        "operations/test_requests",
    ),
    _one(
        "a payout that was cancelled into a refund stays owed",
        "operations/settlements",
        '    settlements.cancel(settlement=settlement, why="an operator gave it back", at=at)\n',
        "",
        "operations/test_settlements",
    ),
)
