"""5: notices do not arrive: a person has blocked the bot, then Kafka is away."""

from __future__ import annotations

from sandbox.demo.people import PRICE_NANO, Person

from .room import Room


def drill(room: Room) -> None:
    """What is about money waits for its person, and events for Kafka; both arrive."""
    _blocked(room)
    _kafka_away(room)


def _blocked(room: Room) -> None:
    eyes, script, market = room.eyes, room.script, room.market
    maria = room.newcomer("Maria")
    deal = room.accepted_deal(maria)
    script.cause("Maria blocks the bot; her payment is booked")
    market.telegram.block(maria.user_id)
    deal.pay(PRICE_NANO)
    deal.wait_for_status("FUNDED")
    eyes.metric("telegram_outgoing_unsent", lambda value: value > 0)
    eyes.status("undelivered about money", str(maria.user_id), "UNREACHABLE")
    eyes.incident("notices_failed", within_s=60)
    before = len(market.telegram.messages(maria.user_id))
    script.fix("she is asked to open the chat again, and does")
    market.telegram.unblock(maria.user_id)
    market.telegram.start(maria.user_id)
    notice = market.until(lambda: _new_notice(room, maria, before), "the notice that waited")
    script.proof(f"the notice arrives: {notice}")
    eyes.metric("telegram_outgoing_unsent", lambda value: value == 0)


def _new_notice(room: Room, person: Person, before: int) -> str | None:
    new = room.market.telegram.messages(person.user_id)[before:]
    texts = [str(message.get("text", "")) for message in new if message.get("by_bot")]
    return next((text.splitlines()[0] for text in texts if "50" in text), None)


def _kafka_away(room: Room) -> None:
    eyes, script, market = room.eyes, room.script, room.market
    script.cause("Kafka is killed, with all that it holds; an offer is sent")
    room.stack.services.kill("kafka")
    eyes.public(is_up=False)
    eyes.down("kafka")
    before = len(market.telegram.messages(market.oleg.user_id))
    room.offered_deal()
    eyes.metric("outbox_pending", lambda value: value > 0)
    eyes.alert("OutboxWaits")
    script.time_passes("two minutes: since when the events wait")
    room.sql(
        "UPDATE notification_outbox SET created_at = created_at - '2 min'::interval"
        " WHERE status = 'PENDING'"
    )
    eyes.down("outbox", "has waited for")
    eyes.incident_later("kafka_down", after_s=60)
    script.fix("Kafka is started")
    room.stack.services.restart("kafka")
    room.operators.plain("create_topics")
    notice = market.until(lambda: new_offer(room, before), "the offer's notice")
    script.proof(f"the notice arrives: {notice}")
    eyes.metric("outbox_pending", lambda value: value == 0)
    eyes.quiet("OutboxWaits")


def new_offer(room: Room, before: int) -> str | None:
    """Return the first line of an offer that came to Oleg after so many messages, if one did."""
    new = room.market.telegram.messages(room.market.oleg.user_id)[before:]
    offers = [m for m in new if m.get("by_bot") and m.get("reply_markup")]
    return str(offers[0]["text"]).splitlines()[0] if offers else None
