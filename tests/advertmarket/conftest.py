"""A signed-in caller of the small API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone, translation

from accounts import services
from tests.accounts.launches import launch


def sign_in(user_id: int = 42, language_code: str = "en") -> Client:
    """Return a client with the user's token; faults of ours become answers, as in production."""
    at = timezone.now()
    with transaction.atomic():
        token = services.log_in(
            init_data=launch(user_id, at=at, language_code=language_code), at=at
        ).token
    return Client(raise_request_exception=False, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def small_api() -> Iterator[None]:
    """Serve tests/advertmarket/api_views.py in place of the product."""
    with override_settings(ROOT_URLCONF="tests.advertmarket.api_views"):
        yield
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture
def ann(db: None, small_api: None) -> Client:
    """A signed-in user who reads English."""
    return sign_in()
