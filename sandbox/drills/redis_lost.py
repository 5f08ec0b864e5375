"""8: Redis loses its memory, then is away: payouts pause until an operator confirms."""

from __future__ import annotations

import redis

from .room import Room


def drill(room: Room) -> None:
    """Nothing is signed until the epoch is confirmed; then what waited goes out once."""
    eyes, script = room.eyes, room.script
    deal = room.funded_deal()
    script.cause("redis-cli FLUSHALL; a refund becomes due")
    env = room.stack.env
    with redis.Redis(env["REDIS_HOST"], int(env["REDIS_PORT"])) as client:
        client.flushall()
    room.call_off(deal)
    room.waits(deal, "REFUND", "Redis lost its memory")
    eyes.metric("payouts_epoch_confirmed", lambda value: value == 0)
    eyes.metric("payouts_paused", lambda value: value == 1)
    eyes.alert("EpochLost")
    eyes.incident("epoch_lost", within_s=40)
    script.cause("Redis is killed")
    room.stack.services.kill("valkey")
    eyes.public(is_up=False)
    eyes.down("redis")
    eyes.metric("redis_up", lambda value: value == 0)
    eyes.alert("RedisDown")
    eyes.incident("redis_down", within_s=40)
    eyes.status("payouts", "PAUSED")
    script.fix("Redis is started; it comes back empty")
    room.stack.services.restart("valkey")
    eyes.public(is_up=True)
    eyes.metric("redis_up", lambda value: value == 1)
    eyes.metric("payouts_paused", lambda value: value == 1)
    room.operators.run("confirm_epoch", "--reason", "A drill: Redis was flushed and killed")
    room.confirmed_once(deal, "REFUND", deal.advertiser, within_s=60)
    eyes.metric("payouts_epoch_confirmed", lambda value: value == 1)
    eyes.quiet("RedisDown", "EpochLost")
