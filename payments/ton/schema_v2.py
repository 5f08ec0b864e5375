"""What TON Center's API v2 answers, as far as we rely on it; parsed once, here.

Reference: https://docs.ton.org/ecosystem/api/toncenter/v2/overview
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, RootModel

from .schema import Answer, Hash, Whole

Nano = Annotated[int, BeforeValidator(lambda shown: max(0, int(shown or 0)))]
"""An account that is nowhere may be shown with -1."""


class Envelope(Answer):
    """Every answer's; an error's says `ok: false`."""

    ok: Literal[True]
    result: Any


class BlockId(Answer):
    """A block, as far as it is needed to ask about it."""

    workchain: int
    shard: str
    seqno: int


class MasterchainInfo(Answer):
    """What `getMasterchainInfo` answers."""

    last: BlockId


class BlockHeader(Answer):
    """What `getBlockHeader` answers."""

    gen_utime: int
    global_id: int | None = None


class TransactionId(Answer):
    """A chain transaction of a known account; an account that is nowhere has one of lt 0."""

    lt: Whole
    hash: Hash


class AddressInformation(Answer):
    """What `getAddressInformation` answers: the account at the end of masterchain block `seqno`."""

    balance: Nano
    state: str
    last_transaction_id: TransactionId
    block_id: BlockId

    @property
    def seqno(self) -> int:
        """The number of the masterchain block that it was read from."""
        return self.block_id.seqno

    @property
    def is_nowhere(self) -> bool:
        """Whether there is no account: never used, or left by its last one without a state."""
        return self.last_transaction_id.lt == 0


class WalletInformation(Answer):
    """What `getWalletInformation` answers."""

    balance: Nano
    seqno: Whole = 0
    account_state: str
    last_transaction_id: TransactionId


class RawTransaction(Answer):
    """A chain transaction as `getTransactions` shows it: its bag of cells tells all (base64)."""

    data: str


class RawTransactions(RootModel[list[RawTransaction]]):
    """What `getTransactions` answers, newest first."""
