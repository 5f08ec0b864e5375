"""The recipient's side of what left an own wallet, as the chain shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from payments.models import TonTransaction
from payments.ton.api import SearchUnfinished, TonApi
from payments.ton.schema import ChainTransaction

T = TypeVar("T")


def receipt_of(sent: TonTransaction, client: TonApi) -> ChainTransaction | None:
    """Ask for the recipient's chain transaction of a landed row's one message, once there is one.

    Raises:
        SearchUnfinished: it must be asked again, to look further.
        TonUnavailable: the chain cannot be asked.
    """
    if not sent.out_msg_hash or sent.lt is None:
        return None
    return client.received(sent.out_msg_hash, by=sent.destination, after_lt=sent.lt)


def shows_arrival(received: ChainTransaction | None, sent: TonTransaction) -> bool:
    """Whether this is the recipient's chain transaction of that message, bounced or not."""
    return (
        received is not None
        and received.in_msg is not None
        and received.in_msg.hash == sent.out_msg_hash
        and received.account == sent.destination
    )


def patiently(look: Callable[[], T]) -> T:
    """Return what `look` finds, however often it must be asked: for who waits at a terminal."""
    while True:
        try:
            return look()
        except SearchUnfinished:
            continue
