"""Tokens: only ours, only in time, and across a change of the secret."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts.tokens import Claims, InvalidToken, TokenExpired, issue_token, read_token

AT = datetime(2026, 1, 1, tzinfo=UTC)
CLAIMS = Claims(
    session_id=uuid.UUID("11111111-2222-4333-8444-555555555555"),
    user_id=42,
    issued_at=AT,
    expires_at=AT + timedelta(days=1),
)
OLD, NEW = "old secret of 64 bytes " + "x" * 41, "new secret of 64 bytes " + "x" * 41


def forged(algorithm: str = "HS256", key: str = OLD, **changes: object) -> str:
    header = jwt.get_unverified_header(issue_token(CLAIMS))
    payload = {"jti": str(CLAIMS.session_id), "sub": "42", "iat": 1767225600, "exp": 1767312000}
    for name, value in changes.items():
        payload.pop(name) if value is None else payload.update({name: value})
    return jwt.encode(payload, key, algorithm, headers={"kid": header["kid"]})


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.JWT_SECRET, settings.OLD_JWT_SECRETS = OLD, []


def test_a_secret_too_short_to_be_safe_verifies_nothing(settings: Settings) -> None:
    settings.JWT_SECRET, settings.OLD_JWT_SECRETS = "short", []
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = issue_token(CLAIMS)

    settings.JWT_SECRET, settings.OLD_JWT_SECRETS = NEW, ["short"]
    with pytest.raises(InvalidToken):
        read_token(token, at=AT)


@given(
    session_id=st.uuids(),
    user_id=st.integers(1, 2**52),
    lives_s=st.integers(1, 10**7),
)
def test_what_was_issued_is_read_back(session_id: uuid.UUID, user_id: int, lives_s: int) -> None:
    claims = Claims(session_id, user_id, AT, AT + timedelta(seconds=lives_s))

    assert read_token(issue_token(claims), at=AT) == claims
    assert issue_token(claims) == issue_token(claims)


def test_a_token_ends_at_its_second() -> None:
    token = issue_token(CLAIMS)

    assert read_token(token, at=CLAIMS.expires_at - timedelta(microseconds=1)) == CLAIMS
    with pytest.raises(TokenExpired):
        read_token(token, at=CLAIMS.expires_at)


def test_after_a_rotation_the_old_secret_verifies_and_the_new_one_signs(
    settings: Settings,
) -> None:
    old_token = issue_token(CLAIMS)
    settings.JWT_SECRET, settings.OLD_JWT_SECRETS = NEW, [OLD]
    new_token = issue_token(CLAIMS)

    assert read_token(old_token, at=AT) == read_token(new_token, at=AT) == CLAIMS

    settings.OLD_JWT_SECRETS = []
    assert read_token(new_token, at=AT) == CLAIMS
    with pytest.raises(InvalidToken):
        read_token(old_token, at=AT)


@given(text=st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        read_token(text, at=AT)


@given(position=st.integers(0, 10**6), letter=st.sampled_from("ABCDEFGHabcdefgh01234567-_"))
def test_a_changed_letter_is_noticed(position: int, letter: str) -> None:
    token = issue_token(CLAIMS)
    body = token.rindex(".")  # the signature's last letter has spare bits
    position %= body
    changed = token[:position] + letter + token[position + 1 :]
    if changed == token:
        return

    with pytest.raises(InvalidToken):
        read_token(changed, at=AT)


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none", "key": ""},
        {"algorithm": "HS512"},
        {"key": NEW},
        {"jti": None},
        {"sub": None},
        {"iat": None},
        {"exp": None},
        {"jti": "no-uuid"},
        {"sub": "ann"},
        {"exp": 10**30},
    ],
)
def test_forgeries_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidToken):
        read_token(forged(**changes), at=AT)


def test_a_forgery_that_changes_nothing_is_read() -> None:
    """The negative control of the forgeries above."""
    assert read_token(forged(), at=AT) == CLAIMS
