"""The recipient's side of what left an own wallet, as the chain shows it."""

from __future__ import annotations

from payments.models import TonTransaction
from payments.ton.api import TonApi
from payments.ton.schema import ChainTransaction


def receipt_of(sent: TonTransaction, client: TonApi) -> ChainTransaction | None:
    """Ask for the recipient's chain transaction of a landed row's one message, once there is one.

    Raises:
        TonUnavailable: the chain cannot be asked.
    """
    if not sent.out_msg_hash or sent.lt is None:
        return None
    return client.received(sent.out_msg_hash, by=sent.destination, after_lt=sent.lt)
