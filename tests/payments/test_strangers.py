"""What strangers, tokens and contracts send: nothing of it stops anybody, and none is lost."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

import pytest
from pytoniq_core import begin_cell

from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PerWallet
from payments.models import Deposit, Escrow, Settlement, TonTransaction, Wallet
from payments.ton import client as client_module
from payments.ton.schema import WalletState
from payments.ton.wallet import subwallet_address
from sandbox.ton.messages import external_message
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.environment import VARIABLES
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import transfer_with_opcode

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
JETTON_NOTICE = 0x7362D09C
NFT_NOTICE = 0x05138D91
Kind = Settlement.Kind


def amounts() -> list[int]:
    return sorted(Deposit.objects.values_list("amount_nano", flat=True))


# --- not for a deal -------------------------------------------------------------------------------


def test_nobodys_money_in_the_treasury_pays_no_deal(bank: Bank) -> None:
    bank.fund_treasury(5 * TON)

    assert ledger.balance(PerWallet.UNSOLICITED.of(0)) == 5 * TON
    assert not Deposit.objects.exists()


def test_a_wallet_that_a_stranger_used_is_never_given_to_a_deal(bank: Bank) -> None:
    stock = list(Wallet.objects.filter(reference=None, subwallet__gt=0).order_by("subwallet"))
    bank.chain.faucet(stock[0].address, 5 * TON)
    bank.read()

    given = bank.wallet(bank.open_escrow())

    assert given == stock[1]
    assert ledger.balance(PerWallet.UNSOLICITED.of(stock[0].subwallet)) == 5 * TON
    assert bank.off_the_chain() == {}


def test_an_address_of_our_key_that_is_not_in_stock_is_not_ours_yet(bank: Bank) -> None:
    """Nothing is booked; the stock passes over it."""
    last = Wallet.objects.latest("subwallet").subwallet
    address = subwallet_address(VARIABLES["TON_WALLET_PUBLIC_KEY"], last + 1)
    bank.chain.faucet(address, 5 * TON)

    bank.read()

    assert not TonTransaction.objects.exists()


# --- jettons --------------------------------------------------------------------------------------


@pytest.mark.parametrize("deployed", [False, True])
def test_a_jetton_notice_is_no_payment(bank: Bank, deployed: bool) -> None:
    """Somebody sent tokens: its nano come with the notice, and are nobody's."""
    if deployed:
        reference = bank.payout_due()
        bank.settle()
    else:
        reference = bank.open_escrow()
    wallet, before = bank.wallet(reference), amounts()
    transfer_with_opcode(bank, wallet.address, TON, JETTON_NOTICE)

    bank.read()

    assert amounts() == before
    assert ledger.balance(PerWallet.UNSOLICITED.of(wallet.subwallet)) == TON
    assert bank.off_the_chain() == {}


def test_a_jetton_notice_of_the_price_funds_nothing(bank: Bank) -> None:
    reference = bank.open_escrow()
    transfer_with_opcode(bank, bank.wallet(reference).address, PRICE_NANO, JETTON_NOTICE)

    bank.read()
    bank.apply_deposits()

    assert bank.escrow(reference).state == "AWAITING"
    assert bank.holds(reference) == {}


def test_what_a_jetton_notice_brought_is_not_swept_nor_paid_out(bank: Bank) -> None:
    reference = bank.payout_due()
    wallet = bank.wallet(reference)
    transfer_with_opcode(bank, wallet.address, 3 * TON, JETTON_NOTICE)
    bank.read()

    bank.settle()
    bank.sweep()
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert ledger.balance(PerWallet.UNSOLICITED.of(wallet.subwallet)) == 3 * TON
    assert bank.chain.balance(wallet.address) >= 3 * TON
    assert bank.holds(reference) == {}


def test_another_opcode_does_not_make_money_nobodys(bank: Bank) -> None:
    """Whoever pays from a contract of their own pays."""
    reference = bank.open_escrow()
    transfer_with_opcode(bank, bank.wallet(reference).address, PRICE_NANO, NFT_NOTICE)

    bank.read()
    bank.apply_deposits()

    assert bank.escrow(reference).state == "FUNDED"


# --- ways to pay ----------------------------------------------------------------------------------


def from_a_wallet(bank: Bank, address: str) -> None:
    payer = PersonsWallet("payer")
    bank.chain.faucet(payer.address, PRICE_NANO + TON)
    bank.send(payer, address, PRICE_NANO)


def from_another_contract(bank: Bank, address: str) -> None:
    payer = PersonsWallet("payer", version="v4r2")
    bank.chain.faucet(payer.address, PRICE_NANO + TON)
    bank.send(payer, address, PRICE_NANO)


def with_a_comment(bank: Bank, address: str) -> None:
    bank.chain.faucet(address, PRICE_NANO, "для сделки 42" * 20)


@pytest.mark.parametrize("pay", [from_a_wallet, from_another_contract, with_a_comment])
def test_a_payment_funds_the_deal_whoever_sends_it(
    bank: Bank, pay: Callable[[Bank, str], None]
) -> None:
    reference = bank.open_escrow()

    pay(bank, bank.wallet(reference).address)
    for _ in range(3):
        bank.read()
    bank.apply_deposits()

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}


def test_a_bounceable_payment_to_a_deployed_wallet_stays(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.settle()

    bank.chain.faucet(bank.wallet(reference).address, 3 * TON, bounce=True)
    for _ in range(3):
        bank.read()
    bank.apply_deposits()

    assert bank.holds(reference)["LATE_DEPOSIT"] == 3 * TON


def test_a_bounceable_payment_to_a_new_wallet_goes_back_to_its_sender(bank: Bank) -> None:
    reference = bank.open_escrow()

    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO, bounce=True)
    bank.read()

    assert amounts() == []
    assert bank.chain.balance(bank.wallet(reference).address) == 0
    assert bank.off_the_chain() == {}


@pytest.mark.parametrize("deployed", [False, True])
def test_a_message_from_outside_that_we_did_not_sign_changes_nothing(
    bank: Bank, deployed: bool
) -> None:
    reference = bank.payout_due() if deployed else bank.open_escrow()
    bank.settle(turns=6 if deployed else 0)
    wallet, before = bank.wallet(reference), TonTransaction.objects.count()
    noise = begin_cell().store_bytes(secrets.token_bytes(80)).end_cell()
    message = external_message(wallet.address, noise)

    assert bank.client.send(base64.b64encode(message).decode()) != "ok"
    bank.read()

    assert TonTransaction.objects.count() == before
    assert bank.wallet(reference).frozen_reason == ""


# --- many -----------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
def test_hundreds_of_deposits_in_one_block_over_pages_are_each_decided(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAGE", 64)
    first, second = bank.open_escrow(), bank.open_escrow()
    addresses = [bank.wallet(first).address, bank.wallet(second).address]
    nano = PRICE_NANO // 100
    bank.pay_at_once([(addresses[number % 2], nano) for number in range(200)])

    for _ in range(3):
        bank.read()
    for _ in range(3):
        bank.apply_deposits()

    assert bank.holds(first) == bank.holds(second) == {"ESCROW": PRICE_NANO}
    assert Deposit.objects.count() == 200
    assert bank.off_the_chain() == {}


@pytest.mark.parametrize(
    "before_and_after",
    [20, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_strangers_nanos_stop_nothing(bank: Bank, before_and_after: int) -> None:
    """Neither the price, nor the payout, nor the sweep; nobody is asked about any of them."""
    bank.set_payout_address()
    reference = bank.refundable_escrow()
    address = bank.wallet(reference).address
    for _ in range(before_and_after):
        bank.chain.faucet(address, 1)
    bank.read()
    for _ in range(5):
        bank.apply_deposits()
    assert bank.holds(reference) == {"PARTIAL_DEPOSIT": before_and_after}

    bank.deposit(reference)
    bank.release(reference)
    for _ in range(before_and_after):
        bank.chain.faucet(address, 1)
    bank.settle()
    for _ in range(5):
        bank.apply_deposits()
    bank.sweep()
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.holds(reference) == {}
    assert ledger.balance(DUST_WRITEOFF) == 2 * before_and_after
    assert not Deposit.objects.exclude(state="ALLOCATED").exists()
    assert bank.wallet(reference).frozen_reason == ""
    assert bank.off_the_chain() == {}


def test_strangers_nanos_keep_no_unpaid_deal_open(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    for _ in range(20):
        bank.chain.faucet(bank.wallet(reference).address, 1)
    bank.read()
    bank.apply_deposits()

    bank.close(reference)

    assert bank.escrow(reference).state == "CLOSED"
    assert ledger.balance(DUST_WRITEOFF) == 20


def test_a_strangers_nano_starts_no_ones_day(bank: Bank) -> None:
    """Else the advertiser's part would go back before its time."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, 1)

    with bank.pass_time(23 * 3600):
        bank.deposit(reference, 60 * TON)
        bank.deposit(reference, 1)
        with bank.pass_time(2 * 3600):
            bank.return_stale_partials()
        assert bank.holds(reference) == {"PARTIAL_DEPOSIT": 60 * TON + 2}
        with bank.pass_time(25 * 3600):
            bank.return_stale_partials()

    assert bank.settlement(reference, Kind.PARTIAL_DEPOSIT_REFUND).amount_nano == 60 * TON + 2


def test_a_refund_address_can_still_be_given_after_a_strangers_nano(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.deposit(reference, 1)

    bank.set_refund_address(reference)

    assert Escrow.objects.get().refund_user_id == bank.advertiser_id


def test_a_thousand_refunds_of_one_wallet_cost_the_others_no_calls(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wallet sends one at a time: those behind are not even looked at."""
    reference = bank.refundable_escrow()
    bank.close(reference)
    for _ in range(5):
        bank.chain.faucet(bank.wallet(reference).address, 20_000_000)
    bank.read()
    bank.apply_deposits()
    asked: list[str] = []
    wallet_state = bank.api.wallet_state

    def count(address: str) -> WalletState:
        asked.append(address)
        return wallet_state(address)

    monkeypatch.setattr(bank.api, "wallet_state", count)

    taken = [bank.executor().run(at_most=100) for _ in range(2)]

    assert taken == [5, 0]
    assert len(asked) == 1
    monkeypatch.undo()
    bank.settle(turns=20)
    assert len(bank.advertiser_received()) == 5
