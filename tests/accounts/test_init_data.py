"""Launch data: what Telegram signed is believed, anything else is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.init_data import InvalidInitData, verify_init_data
from tests.accounts.launches import sign

TOKEN = "7000000001:a-bot-token"
USER = json.dumps({"id": 42, "first_name": "Ann", "username": "ann", "language_code": "ru"})

# real launches, published by the Telegram Mini Apps project: https://docs.telegram-mini-apps.com
PUBLISHED = {
    "without signature": (
        "5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8",
        "query_id=AAHdF6IQAAAAAN0XohDhrOrc"
        "&user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%22%2C%22last_name%22%3A%22"
        "Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22"
        "is_premium%22%3Atrue%7D"
        "&auth_date=1662771648"
        "&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2",
        1662771648,
    ),
    "with signature": (
        "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4",
        "user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22"
        "%2C%22last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22"
        "%3A%22ru%22%2C%22is_premium%22%3Atrue%2C%22allows_write_to_pm%22%3Atrue%2C%22photo_url%22"
        "%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F"
        "4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D"
        "&chat_instance=8134722200314281151&chat_type=private&auth_date=1733509682"
        "&signature=TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau-X7oNNLNBM72APCpi_RKiUlBvcqo5L-LAxIc3"
        "dnTzcZX_PDg"
        "&hash=a433d8f9847bd6addcc563bff7cc82c89e97ea0d90c11fe5729cae6796a36d73",
        1733509682,
    ),
}

names = st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
extra_fields = st.dictionaries(
    names.filter(lambda name: name not in {"hash", "user", "auth_date"}), values, max_size=6
)


def signed(**fields: str) -> str:
    return sign({"auth_date": "1700000000", "user": USER, **fields}, bot_token=TOKEN)


def refused(text: str) -> bool:
    try:
        verify_init_data(text, bot_token=TOKEN)
    except InvalidInitData:
        return True
    return False


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_launches_are_verified(name: str) -> None:
    token, text, auth_date = PUBLISHED[name]

    launch = verify_init_data(text, bot_token=token)

    assert (launch.user_id, launch.username, launch.language_code) == (279058397, "vdkfrost", "ru")
    assert launch.signed_at == datetime.fromtimestamp(auth_date, UTC)


@given(extra=extra_fields)
def test_whatever_fields_telegram_adds_are_covered_and_accepted(extra: dict[str, str]) -> None:
    launch = verify_init_data(signed(**extra), bot_token=TOKEN)

    assert (launch.user_id, launch.first_name) == (42, "Ann")


@given(extra=extra_fields, data=st.data())
def test_changing_any_value_is_noticed(extra: dict[str, str], data: st.DataObject) -> None:
    fields = dict(parse_qsl(signed(**extra), keep_blank_values=True))
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = data.draw(values.filter(lambda value: value != fields[name]))

    assert refused(urlencode({**fields, name: changed}))


@given(extra=extra_fields, data=st.data())
def test_leaving_any_field_out_is_noticed(extra: dict[str, str], data: st.DataObject) -> None:
    fields = dict(parse_qsl(signed(**extra), keep_blank_values=True))
    del fields[data.draw(st.sampled_from(sorted(fields)))]

    assert refused(urlencode(fields))


@given(text=st.text(max_size=300))
def test_any_text_is_refused_without_a_crash(text: str) -> None:
    assert refused(text)


@given(
    user=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["id", "first_name", "is_bot"]), inner, max_size=3)
        ),
    )
)
def test_a_signed_user_of_any_json_is_read_or_refused_without_a_crash(user: object) -> None:
    text = signed(user=json.dumps(user))

    if isinstance(user, dict) and type(user.get("id")) is int and 0 < user["id"] < 2**52:
        return  # may be a person
    assert refused(text)


def test_the_spelling_does_not_change_the_digest() -> None:
    fields = parse_qsl(signed(query_id="A B"))
    as_sent = urlencode(fields)
    otherwise = "&".join(
        f"{name}={''.join(f'%{byte:02x}' for byte in value.encode())}"
        for name, value in reversed(fields)
    )

    digests = {verify_init_data(text, bot_token=TOKEN).digest for text in (as_sent, otherwise)}

    assert len(digests) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hash=",
        signed() + "&user=" + "%7B%7D",
        signed() + "&hash=" + "0" * 64,
        "auth_date=1700000000&" + signed(),
        signed().replace("hash=", "hash=0"),
        signed().rpartition("hash=")[0] + "hash=" + signed().rpartition("hash=")[2].upper(),
        signed(user=""),
        signed(user="{}"),
        signed(user=json.dumps({"id": "42"})),
        signed(user=json.dumps({"id": True})),
        signed(user=json.dumps({"id": 0})),
        signed(user=json.dumps({"id": -42})),
        signed(user=json.dumps({"id": 2**60})),
        signed(user=json.dumps({"id": 42, "is_bot": True})),
        signed(user=json.dumps({"id": 42, "first_name": 7})),
        signed(user='{"id": 42, "first_name": "\\ud800"}'),
        signed(user="[" * 3000),
        signed(auth_date=""),
        signed(auth_date="now"),
        signed(auth_date="-1"),
        signed(auth_date="١٧"),
        signed(auth_date="9" * 30),
        signed(padding="x" * 9000),
        "\ud800" + signed(),
    ],
)
def test_what_is_malformed_is_refused(text: str) -> None:
    assert refused(text)


def test_another_bot_s_launch_is_refused() -> None:
    assert refused(sign({"auth_date": "1700000000", "user": USER}, bot_token="1:another"))


def test_without_a_token_of_our_own_nobody_is_believed() -> None:
    launch = sign({"auth_date": "1700000000", "user": USER}, bot_token="")

    with pytest.raises(InvalidInitData):
        verify_init_data(launch, bot_token="")
