"""Addresses for deals: never one that anybody has used, never one twice."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from payments import services, wallets
from payments.models import ChainCursor, Escrow, Wallet
from payments.services import EscrowExists, NoWalletReady
from payments.ton import client
from payments.ton.client import TonUnavailable
from payments.ton.wallet import subwallet_address
from payments.wallets import refill_stock
from tests.payments.bank import ACTOR, PRICE_NANO, Bank
from tests.payments.lines import before, line_of
from tests.payments.threads import Meanwhile, elsewhere, together


def stock() -> list[int]:
    """The subwallets that a deal could be given."""
    free = Wallet.objects.filter(reference=None, last_lt=0, subwallet__gt=0)
    return list(free.order_by("subwallet").values_list("subwallet", flat=True))


def refill(bank: Bank) -> int:
    return refill_stock(bank.client, at=timezone.now())


def open_escrow(reference: UUID) -> str:
    with transaction.atomic():
        return services.open_escrow(
            reference=reference,
            price_nano=PRICE_NANO,
            payment_deadline_at=timezone.now(),
            actor=ACTOR,
            at=timezone.now(),
        )


# --- the stock ------------------------------------------------------------------------------------


def test_the_stock_is_filled_up_with_the_treasury_beside_it(bank: Bank) -> None:
    assert stock() == [1, 2, 3]
    treasury = Wallet.objects.get(subwallet=0)
    assert treasury.address == subwallet_address(settings.TON_WALLET_PUBLIC_KEY, 0)
    assert treasury.reference is None


def test_each_wallet_knows_how_its_address_is_made(bank: Bank) -> None:
    for wallet in Wallet.objects.all():
        assert wallet.version == "v3r2"
        assert wallet.public_key == settings.TON_WALLET_PUBLIC_KEY
        assert wallet.address == subwallet_address(wallet.public_key, wallet.subwallet)


def test_a_full_stock_is_left_alone(bank: Bank) -> None:
    assert refill(bank) == 0
    assert Wallet.objects.count() == 4


def test_what_was_taken_is_replaced_by_the_next_number(bank: Bank) -> None:
    bank.open_escrow()

    assert refill(bank) == 1

    assert stock() == [2, 3, 4]


def test_an_address_that_a_stranger_uses_is_skipped(bank: Bank) -> None:
    """The public key is on chain after the first deployment: anyone can make the next addresses."""
    taken = subwallet_address(settings.TON_WALLET_PUBLIC_KEY, 4)
    bank.chain.faucet(taken, 1)
    bank.open_escrow()

    refill(bank)

    assert stock() == [2, 3, 5]
    assert not Wallet.objects.filter(address=taken).exists()


def test_an_address_in_stock_that_received_something_is_not_given_out(bank: Bank) -> None:
    bank.chain.faucet(Wallet.objects.get(subwallet=1).address, 1)
    bank.read()

    assert bank.wallet(bank.open_escrow()).subwallet == 2
    assert refill(bank) == 2


def test_money_that_the_reader_has_not_seen_is_found_when_it_comes_to_it(bank: Bank) -> None:
    """The wallet is given out between a stranger's transfer and its reading: it counts as his."""
    bank.chain.faucet(Wallet.objects.get(subwallet=1).address, 1)
    reference = bank.open_escrow()
    assert bank.wallet(reference).subwallet == 1

    bank.pay(reference)
    bank.read()
    bank.read()
    bank.apply_deposits()

    assert bank.escrow(reference).state == Escrow.State.FUNDED
    assert bank.escrow(reference).funded_nano == PRICE_NANO


def test_used_addresses_without_end_do_not_keep_a_refill_busy(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wallets, "_MOST_ASKED", 2)
    for subwallet in (4, 5, 6):
        address = subwallet_address(settings.TON_WALLET_PUBLIC_KEY, subwallet)
        bank.chain.faucet(address, 1)
    bank.open_escrow()

    assert [refill(bank), refill(bank)] == [0, 1]

    assert stock() == [2, 3, 7]


def test_before_the_reader_has_its_cursor_no_address_is_made(bank: Bank) -> None:
    bank.open_escrow()
    ChainCursor.objects.all().delete()

    assert refill(bank) == 0

    assert stock() == [2, 3]


def test_a_chain_that_cannot_be_asked_adds_nothing(bank: Bank) -> None:
    bank.open_escrow()
    bank.chain.fault("walletInformation", "error", status=422)

    with pytest.raises(TonUnavailable):
        refill(bank)

    assert stock() == [2, 3]
    assert refill(bank) == 1


def test_two_refills_at_once_make_no_address_twice(bank: Bank) -> None:
    for _ in range(3):
        bank.open_escrow()

    for done in together(*[lambda: refill(bank)] * 2):
        done.result()

    addresses = list(Wallet.objects.values_list("address", flat=True))
    assert len(addresses) == len(set(addresses))
    assert 3 <= len(stock()) <= 6


# --- giving out -----------------------------------------------------------------------------------


def test_an_empty_stock_is_said_so(bank: Bank) -> None:
    for _ in range(3):
        bank.open_escrow()

    with pytest.raises(NoWalletReady):
        bank.open_escrow()

    assert Escrow.objects.count() == 3
    refill(bank)
    assert bank.wallet(bank.open_escrow()).subwallet == 4


def test_no_wallet_is_given_out_twice(bank: Bank) -> None:
    refill_to(bank, 8)

    given = [one.result() for one in together(*[lambda: open_escrow(uuid4())] * 8)]

    assert len(set(given)) == 8
    assert Escrow.objects.count() == 8


def test_two_deals_at_once_do_not_wait_for_each_other(bank: Bank) -> None:
    first, second = uuid4(), uuid4()

    with before(
        line_of(wallets.take_wallet, "wallet.reference ="),
        lambda: elsewhere(lambda: open_escrow(second)),
    ):
        open_escrow(first)

    assert (bank.wallet(first).subwallet, bank.wallet(second).subwallet) == (1, 2)


def test_a_deal_gets_one_wallet(bank: Bank) -> None:
    reference = bank.open_escrow()

    with pytest.raises(EscrowExists):
        open_escrow(reference)

    assert Escrow.objects.count() == 1
    assert stock() == [2, 3]


def test_a_deal_opened_twice_at_once_gets_one_wallet(bank: Bank) -> None:
    reference = uuid4()

    other = Meanwhile(lambda: open_escrow(reference))
    with before(line_of(services.open_escrow, "Escrow.objects.create"), other):
        open_escrow(reference)

    with pytest.raises(EscrowExists):
        other.result()
    assert Escrow.objects.count() == 1
    assert stock() == [2, 3]


def refill_to(bank: Bank, number: int) -> None:
    """Fill the stock further than a test usually needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wallets, "STOCK", number)
        refill(bank)


# --- the freeze -----------------------------------------------------------------------------------


def freeze(subwallet: int, reason: str) -> None:
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(subwallet=subwallet)
        wallets.freeze(wallet=wallet, reason=reason, at=timezone.now())


def test_the_first_reason_of_a_freeze_stays(bank: Bank) -> None:
    freeze(1, "the first")
    frozen_at = Wallet.objects.get(subwallet=1).frozen_at

    freeze(1, "the second")

    wallet = Wallet.objects.get(subwallet=1)
    assert (wallet.frozen_reason, wallet.frozen_at) == ("the first", frozen_at)


def test_a_frozen_wallet_is_not_given_out(bank: Bank) -> None:
    freeze(1, "a doubt")

    assert bank.wallet(bank.open_escrow()).subwallet == 2


def test_a_frozen_wallet_still_receives(bank: Bank) -> None:
    reference = bank.open_escrow()
    freeze(1, "a doubt")

    bank.pay(reference)
    bank.apply_deposits()

    assert bank.escrow(reference).state == Escrow.State.FUNDED


# --- the proof ------------------------------------------------------------------------------------


@pytest.fixture
def proving(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """The bank whose chain the proof asks."""
    monkeypatch.setattr(client, "reading", lambda: bank.client)
    return bank


def test_a_wallet_is_proved_to_hold_what_the_books_say(
    proving: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = proving.payout_due()
    wallet = proving.wallet(reference)
    holds = f"books {PRICE_NANO}  chain {PRICE_NANO}  wallet {wallet.subwallet}"

    call_command("prove_wallets")

    assert capsys.readouterr().out.splitlines() == [
        f"same  {holds}  {wallet.address}  deal {reference}",
        "4 wallets, 0 differ; those not shown were never used",
    ]


def test_a_wallet_that_holds_another_sum_than_the_books_say_is_named(
    proving: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet = Wallet.objects.get(subwallet=1)
    proving.chain.faucet(wallet.address, 7)

    with pytest.raises(SystemExit) as ended:
        call_command("prove_wallets")

    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        f"DIFFERENT  books 0  chain 7  wallet 1  {wallet.address}  no deal",
        "4 wallets, 1 differ; those not shown were never used",
    ]
    proving.read()
