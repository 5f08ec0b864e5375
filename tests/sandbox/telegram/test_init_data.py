"""Mini App initData, checked as https://core.telegram.org/bots/webapps tells a bot to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qsl

from sandbox.telegram.control import Telegram
from sandbox.telegram.init_data import third_party_key
from sandbox.telegram.server import TelegramServer
from tests.sandbox.telegram.conftest import ANNA


def expected_hash(fields: dict[str, str], token: str) -> str:
    """Return the hash as documented: over all fields but itself."""
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "hash")
    key = hmac.digest(b"WebAppData", token.encode(), hashlib.sha256)
    return hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()


def test_hash_is_the_bots(server: TelegramServer, people: Telegram) -> None:
    fields = dict(parse_qsl(people.init_data(ANNA), strict_parsing=True))
    assert sorted(fields) == ["auth_date", "hash", "query_id", "signature", "user"]
    assert fields["hash"] == expected_hash(fields, server.world.token)
    assert fields["hash"] != expected_hash(fields, "7000000001:another")
    assert abs(int(fields["auth_date"]) - time.time()) < 60
    assert json.loads(fields["user"]) == {
        "id": ANNA,
        "first_name": "Anna",
        "username": "anna",
        "language_code": "ru",
        "allows_write_to_pm": True,
    }


def test_time_and_start_parameter_are_signed(server: TelegramServer, people: Telegram) -> None:
    raw = people.init_data(ANNA, auth_date=1_700_000_000, start_param="deal_1")
    fields = dict(parse_qsl(raw, strict_parsing=True))
    assert (fields["auth_date"], fields["start_param"]) == ("1700000000", "deal_1")
    assert fields["hash"] == expected_hash(fields, server.world.token)


def test_signature_is_for_third_parties(server: TelegramServer, people: Telegram) -> None:
    fields = dict(parse_qsl(people.init_data(ANNA), strict_parsing=True))
    signature = base64.urlsafe_b64decode(fields["signature"] + "==")
    lines = "\n".join(
        f"{name}={fields[name]}" for name in sorted(fields) if name not in ("hash", "signature")
    )
    public = third_party_key(server.world.token).public_key()
    public.verify(signature, f"7000000001:WebAppData\n{lines}".encode())
