"""Where a request came from, as the proxy in front of us says."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from advertmarket import origin
from advertmarket.middleware import origin_middleware


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", "192.0.2.7"),  # what the caller made up stands before
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),  # PostgreSQL knows no zones
        ("unix:", None),
        ("192.0.2.7, nonsense", None),
    ],
)
def test_the_last_proxy_is_believed_and_nothing_else(told: str, found: str | None) -> None:
    seen: list[str | None] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(origin.current())
        return HttpResponse()

    origin_middleware(view)(RequestFactory().get("/", headers={"x-forwarded-for": told}))

    assert seen == [found]
    assert origin.current() is None


def test_without_a_proxy_it_is_who_is_connected() -> None:
    assert origin.of(RequestFactory().get("/", REMOTE_ADDR="192.0.2.9")) == "192.0.2.9"
