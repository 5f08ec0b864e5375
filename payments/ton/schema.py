"""What TON Center's API v3 answers, as far as we rely on it; parsed once, here.

Reference: the OpenAPI description of TON Center API v3 (`/api/v3/index.html`).
Hashes become lower-case hex, addresses raw lower-case, times aware datetimes.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MASTERCHAIN_PREFIX = "-1:"

_TRANSFER_NOTIFICATION = 0x7362D09C
"""https://github.com/ton-blockchain/TEPs/blob/master/text/0074-jettons-standard.md"""


def _hex(value: Any) -> str:
    return base64.b64decode(value).hex() if value else ""


def _raw(value: Any) -> str:
    return str(value).lower() if value else ""


def _time(value: Any) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(value), dt.UTC)


Hash = Annotated[str, BeforeValidator(_hex)]
RawAddress = Annotated[str, BeforeValidator(_raw)]
Opcode = Annotated[
    int | None, BeforeValidator(lambda shown: int(str(shown), 16) if shown else None)
]
UnixTime = Annotated[dt.datetime, BeforeValidator(_time)]
Whole = Annotated[int, BeforeValidator(lambda value: int(value or 0))]
WholeIfShown = Annotated[
    int | None, BeforeValidator(lambda shown: None if shown is None else int(shown))
]


class Answer(BaseModel):
    """Only what is named here is relied on."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_NETWORKS: dict[int | None, str] = {-239: "mainnet", -3: "testnet", None: ""}
"""By the id that each block carries: https://docs.ton.org/v3/documentation/network/configs."""


class Block(Answer):
    """A masterchain block; `global_id` tells the networks apart."""

    seqno: int
    gen_utime: UnixTime
    global_id: int | None = None

    @property
    def network(self) -> str:
        """The network whose block it is; empty if that is not told."""
        return _NETWORKS.get(self.global_id, f"network {self.global_id}")


class Head(Answer):
    """What `masterchainInfo` answers."""

    last: Block


class Shown(BaseModel):
    """A chain transaction of anybody, as far as everybody's is read: whose it is.

    A stranger's may have forms that we do not know; they are not looked at.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    account: RawAddress


class Page(Answer):
    """A page of a block's chain transactions."""

    transactions: list[Shown]


class MessageContent(Answer):
    """A message's body, by its hash."""

    hash: Hash


class Message(Answer):
    """A message as a chain transaction shows it; an external one has no value."""

    hash: Hash
    hash_norm: Hash = ""
    source: RawAddress = ""
    destination: RawAddress = ""
    value: Whole = 0
    fwd_fee: Whole = 0
    bounced: bool | None = None
    opcode: Opcode = None
    message_content: MessageContent | None = None

    @property
    def is_external(self) -> bool:
        """Whether it came from outside the chain (and so carries no value)."""
        return not self.source

    @property
    def is_jetton_notice(self) -> bool:
        """Whether a jetton wallet tells of tokens: its few nano are no payment (TEP-74)."""
        return self.opcode == _TRANSFER_NOTIFICATION

    @property
    def body_hash(self) -> str:
        """The hash of the body's cell, or nothing."""
        return self.message_content.hash if self.message_content else ""


class Description(Answer):
    """The phases; a bounce phase means that the value did not stay."""

    aborted: bool = False
    bounce: dict[str, Any] | None = None


class AccountState(Answer):
    """The account right after a chain transaction; of one in the middle of a block, its hash only.

    https://github.com/toncenter/ton-indexer keeps an account's state at the end of each block.
    """

    balance: WholeIfShown = None


class ChainTransaction(Answer):
    """One transaction of one account."""

    account: RawAddress
    hash: Hash
    lt: Whole
    now: UnixTime
    mc_block_seqno: Whole
    prev_trans_lt: Whole = 0
    prev_trans_hash: Hash = ""
    total_fees: Whole = 0
    description: Description = Field(default_factory=Description)
    in_msg: Message | None = None
    out_msgs: list[Message] = Field(default_factory=list)
    account_state_after: AccountState | None = None

    @property
    def balance_after(self) -> int | None:
        """The account's balance (nanoTON) right after, if it is shown."""
        return self.account_state_after.balance if self.account_state_after else None

    def with_balance(self, nano: int) -> ChainTransaction:
        """Return it with the balance (nanoTON) that it left."""
        return self.model_copy(update={"account_state_after": AccountState(balance=nano)})

    @property
    def bounced_back(self) -> bool:
        """Whether the incoming value was sent back instead of staying."""
        return self.description.bounce is not None and self.description.bounce.get("type") == "ok"


class ChainTransactions(Answer):
    """A page of chain transactions."""

    transactions: list[ChainTransaction]


class AddressState(Answer):
    """What `addressInformation` answers."""

    status: str


class WalletState(Answer):
    """A wallet as the indexer knows it; seqno is 0 and status not "active" before deployment."""

    balance: Whole
    seqno: Whole = 0
    status: str = "uninit"
    last_transaction_lt: Whole = 0

    @property
    def is_active(self) -> bool:
        """Whether a contract is deployed there."""
        return self.status == "active"


class ListedAccount(Answer):
    """One of the accounts that `accountStates` was asked for."""

    address: RawAddress
    balance: Whole
    status: str = "uninit"
    last_transaction_lt: Whole = 0


class AccountStates(Answer):
    """What `accountStates` answers; an account that nobody has used is missing."""

    accounts: list[ListedAccount]


class SourceFees(Answer):
    """The parts of an emulated fee, in nanoTON."""

    in_fwd_fee: Whole
    storage_fee: Whole
    gas_fee: Whole
    fwd_fee: Whole

    @property
    def total_nano(self) -> int:
        """What the sender's account would pay."""
        return self.in_fwd_fee + self.storage_fee + self.gas_fee + self.fwd_fee


class Fees(Answer):
    """What `estimateFee` answers."""

    source_fees: SourceFees
