"""Deals between Anna, who advertises, and Oleg, who owns a channel: lived step by step.

People act through services; what the system does is done by its own workers, called by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import time_machine
from django.conf import settings
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.messaging.models import OutboxMessage
from advertmarket.money import NANO_PER_TON
from advertmarket.telegram.content import Button, Media, MediaKind
from channels import services as channels
from channels.ownership import OwnershipProof, prove
from deals import services, sweeps
from deals.delivery.calls import rehearse
from deals.delivery.content import Content
from deals.delivery.draft import Draft
from deals.delivery.publisher import Publisher
from deals.delivery.verifier import check_next
from deals.disputes import services as disputes
from deals.models import (
    Creative,
    Deal,
    DealEvent,
    Dispute,
    DisputeEvidence,
    PlannedCheck,
    PostAttempt,
    PostingCheck,
)
from payments.models import Escrow, Journal, Settlement
from sandbox.telegram.control import Telegram
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import Bank

ANNA, OLEG, IVAN, KEEPER = 1001, 1002, 1003, 1004
ADVERTISER, OWNER, OUTSIDER = Actor.user(ANNA), Actor.user(OLEG), Actor.user(IVAN)
SYSTEM = Actor.system("test")
PRICE_NANO = 50 * NANO_PER_TON
REFUND_ADDRESS = "0:" + "ab" * 32

Command = Callable[..., object]
_channel_ids = itertools.count(-1_003_000_000_001, -1)

TEXT = Draft(
    text="<b>Fresh</b> coffee, see <a href='https://example.com/coffee'>our shop</a>",
    parse_mode="HTML",
    buttons=(Button("Order", url="https://example.com/order"),),
)


def brief(**fields: Any) -> services.BriefText:
    return services.BriefText(text="Tell them about our coffee", **fields)


def shown(draft: Draft) -> tuple[tuple[Content, ...], ...]:
    """What Telegram would make of a draft without markup."""
    return tuple(
        (Content(part.text, buttons=tuple((b.label, b.url) for row in part.buttons for b in row)),)
        for part in draft.parts
    )


class Market:
    """People, a channel, and what can be seen of their deals."""

    channel_id: int

    def __init__(self) -> None:
        with transaction.atomic():
            for user_id, name in ((ANNA, "Anna"), (OLEG, "Oleg"), (IVAN, "Ivan")):
                accounts.get_or_create_user(
                    user_id=user_id,
                    first_name=name,
                    username=name.lower(),
                    language_code="en",
                    at=timezone.now(),
                )
        self.open_channel()

    def open_channel(self) -> int:
        """Oleg registers another channel, and uses it from now on."""
        self.register(self.proof(next(_channel_ids)))
        return self.channel_id

    def proof(self, channel_id: int) -> OwnershipProof:
        """What Telegram would say of a channel of Oleg's."""
        return OwnershipProof(
            channel_id=channel_id,
            user_id=OLEG,
            title="Morning City",
            username="",
            description="",
            subscribers=500,
            creator_id=OLEG,
            proved_at=timezone.now(),
        )

    def register(self, proof: OwnershipProof) -> None:
        """Oleg registers a channel."""
        with transaction.atomic():
            self.channel_id = channels.register_channel(
                proof=proof, topic="city", language="en", actor=OWNER, at=timezone.now()
            )

    def do(self, command: Command, deal_id: UUID, actor: Actor, **arguments: Any) -> None:
        """Have somebody do something with a deal, in a database transaction of its own."""
        with transaction.atomic():
            command(deal_id=deal_id, actor=actor, at=timezone.now(), **arguments)

    # -- how far a deal has come

    def draft(self, *, actor: Actor = ADVERTISER, **brief_fields: Any) -> UUID:
        """Anna has drafted a deal."""
        with transaction.atomic():
            return services.create_deal(
                channel_id=self.channel_id,
                format="STANDARD",
                price_nano=PRICE_NANO,
                brief=brief(**brief_fields),
                actor=actor,
                at=timezone.now(),
            )

    def offer(self, **brief_fields: Any) -> UUID:
        """Anna has sent an offer."""
        deal_id = self.draft(**brief_fields)
        self.do(services.submit_offer, deal_id, ADVERTISER)
        return deal_id

    def accepted(self, **brief_fields: Any) -> UUID:
        """Oleg has accepted it."""
        deal_id = self.offer(**brief_fields)
        self.do(services.accept_offer, deal_id, OWNER)
        return deal_id

    def dispute(
        self, deal_id: UUID, actor: Actor = ADVERTISER, reason: str = "QUALITY", said: str = "No"
    ) -> None:
        """Somebody disputes the deal."""
        self.do(
            disputes.open_dispute, deal_id, actor, reason=disputes.Reason(reason), statement=said
        )

    # -- what can be seen

    def deal(self, deal_id: UUID) -> Deal:
        """The deal, as stored."""
        return Deal.objects.get(id=deal_id)

    def status(self, deal_id: UUID) -> str:
        """Where the deal stands."""
        return self.deal(deal_id).status

    def disputed_for(self, deal_id: UUID) -> str | None:
        """Why the deal is disputed, if it is."""
        reasons = list(Dispute.objects.filter(deal_id=deal_id).values_list("reason", flat=True))
        assert (self.status(deal_id) == "DISPUTED") is bool(reasons)
        return reasons[0] if reasons else None

    def history(self, deal_id: UUID) -> list[str]:
        """The deal's actions, oldest first."""
        rows = DealEvent.objects.filter(deal_id=deal_id).order_by("version")
        return list(rows.values_list("action", flat=True))

    def events(self, deal_id: UUID) -> list[str]:
        """The types of the events that deals published about it, oldest first."""
        rows = OutboxMessage.objects.filter(key=deal_id, topic="deal.events").order_by("id")
        return list(rows.values_list("event_type", flat=True))


class FundedMarket(Market):
    """A market whose deals are paid on a local chain."""

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.bank = bank
        self.annas = PersonsWallet(f"anna {uuid4()}")

    def awaiting_payment(self, **brief_fields: Any) -> UUID:
        """The deal has its address."""
        deal_id = self.accepted(**brief_fields)
        sweeps.request_payments()
        assert self.status(deal_id) == "AWAITING_PAYMENT"
        return deal_id

    def give_refund_address(self, deal_id: UUID, address: str = "") -> None:
        """Anna says where a refund would go: to her wallet, or elsewhere."""
        self.do(
            services.set_refund_address,
            deal_id,
            Actor.user(self.deal(deal_id).advertiser_id),
            address=address or self.annas.raw_address,
            comment="",
            typed_by_hand=True,
        )

    def annas_nano(self) -> int:
        """What the chain says that Anna's wallet holds."""
        return self.bank.chain.balance(self.annas.raw_address)

    def settle(self) -> None:
        """What is owed is paid on chain, and deals are told."""
        self.bank.settle()
        sweeps.settle_deals()

    def pay(self, deal_id: UUID) -> None:
        """Anna pays, payments books it and funds the escrow; deals are not told yet."""
        self.bank.pay(deal_id, PRICE_NANO)
        self.bank.apply_deposits()

    def funded(self, **brief_fields: Any) -> UUID:
        """Anna has said where a refund would go, and paid."""
        deal_id = self.awaiting_payment(**brief_fields)
        self.give_refund_address(deal_id)
        self.pay(deal_id)
        sweeps.fund_deals()
        assert self.status(deal_id) == "FUNDED"
        return deal_id

    def submitted(self, draft: Draft = TEXT, **brief_fields: Any) -> UUID:
        """Oleg has submitted an ad."""
        deal_id = self.funded(**brief_fields)
        self.do(services.submit_creative, deal_id, OWNER, draft=draft, parts=self.parts(draft))
        return deal_id

    def approved(self, draft: Draft = TEXT) -> UUID:
        """Anna has approved it."""
        deal_id = self.submitted(draft)
        self.do(services.approve_creative, deal_id, ADVERTISER)
        return deal_id

    def parts(self, draft: Draft) -> tuple[tuple[Content, ...], ...]:
        """What Telegram makes of a draft."""
        return shown(draft)

    def set_payout_address(self) -> None:
        """Oleg says where his payouts go."""
        with transaction.atomic():
            accounts.set_payout_address(
                user_id=OLEG,
                address=self.bank.owner.raw_address,
                comment="",
                typed_by_hand=True,
                actor=OWNER,
                at=timezone.now(),
            )

    def books(self) -> list[str]:
        """The keys of the journals, oldest first."""
        return list(Journal.objects.order_by("posted_at").values_list("key", flat=True))


class LiveMarket(FundedMarket):
    """A market with a local Telegram, too: a channel in it, and a verifier chat."""

    def __init__(self, bank: Bank, telegram: Telegram) -> None:
        self.telegram = telegram
        for user_id, name in ((ANNA, "Anna"), (OLEG, "Oleg"), (IVAN, "Ivan"), (KEEPER, "Keeper")):
            telegram.create_user(user_id, name, username=name.lower(), started=True)
        self.verifier_id = telegram.create_channel("verifier", creator_id=KEEPER)
        telegram.add_bot(self.verifier_id)
        settings.TELEGRAM_VERIFIER_CHAT_ID = self.verifier_id
        super().__init__(bank)

    def open_channel(self) -> int:
        """Oleg opens and registers a channel where the bot may post and edit."""
        channel_id = self.telegram.create_channel("Morning City", creator_id=OLEG)
        self.telegram.add_bot(channel_id, by=OLEG)
        self.register(prove(channel_id, user_id=OLEG, at=timezone.now()))
        return channel_id

    def parts(self, draft: Draft) -> tuple[tuple[Content, ...], ...]:
        """What the local Telegram makes of a draft."""
        return rehearse(draft)

    def media(self, kind: MediaKind) -> Media:
        """A file that the bot may send."""
        name = "animation" if kind == "GIF" else kind.lower()
        file = self.telegram.create_media(name)[name]
        file_id = (file[-1] if kind == "PHOTO" else file)["file_id"]
        return Media(kind, file_id)

    def scheduled(self, draft: Draft = TEXT) -> UUID:
        """Oleg has ordered the publication, for now."""
        deal_id = self.approved(draft)
        self.do(services.schedule_post, deal_id, OWNER)
        return deal_id

    def post(self) -> None:
        """The publisher takes what is due."""
        Publisher().run(at_most=10)

    def published(self, draft: Draft = TEXT) -> UUID:
        """The bot has posted it."""
        deal_id = self.scheduled(draft)
        self.post()
        assert self.status(deal_id) == "DELIVERY_VERIFYING", self.deal(deal_id).waiting_for
        return deal_id

    def posts(self) -> list[dict[str, Any]]:
        """What is in the channel."""
        return self.telegram.messages(self.channel_id)

    def check_all(self) -> int:
        """The verifier looks at all that is due; return how often it looked."""
        return sum(1 for _ in iter(check_next, False))

    def keep(self, deal_id: UUID) -> int:
        """The day goes by, and every look is made at its time; return how many there were."""
        looks = 0
        while PlannedCheck.objects.filter(deal_id=deal_id, done_at=None).exists():
            with later(self.next_check_at(deal_id)):
                looks += self.check_all()
        return looks

    def next_check_at(self, deal_id: UUID) -> datetime:
        """When the next look at the post is due."""
        return PlannedCheck.objects.filter(deal_id=deal_id, done_at=None).earliest("due_at").due_at


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Assert that the block leaves deals, their history, money and messages as they were."""
    before = _everything()
    yield
    assert _everything() == before


def _everything() -> list[list[dict[str, Any]]]:
    tables: list[type[Model]] = [Deal, DealEvent, Creative, PostAttempt, PlannedCheck]
    tables += [PostingCheck, Dispute, DisputeEvidence, OutboxMessage, Journal, Escrow, Settlement]
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def later(moment: datetime | timedelta) -> time_machine.travel:
    """Return a traveller to a time, or on by a duration; a context manager."""
    if isinstance(moment, timedelta):
        moment = timezone.now() + moment
    return time_machine.travel(moment, tick=True)
