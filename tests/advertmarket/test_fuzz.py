"""Whatever JSON comes in, every operation of the schema answers, and never with a fault of ours."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.test.utils import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advertmarket.state import redis_state
from tests.advertmarket.conftest import sign_in
from tests.advertmarket.test_schema import Schema, generate

pytestmark = pytest.mark.django_db


def operations() -> Iterator[tuple[str, str, list[str]]]:
    """Each operation of the product: method, path, and the names in its query or body."""
    schema = generate()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, names_in(schema, operation)


def names_in(schema: Schema, operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    component = schema["components"]["schemas"].get(reference.rpartition("/")[2], {})
    query = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    return sorted([*query, *component.get("properties", {})])


def json_values(names: list[str]) -> st.SearchStrategy[Any]:
    atoms = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20)
        | st.sampled_from(["0", "1000000000", "-1", "2026-01-01T00:00:00Z", "\ud800", "\0", "ru"])
        | st.uuids().map(str)
    )
    inner = st.recursive(
        atoms, lambda more: st.lists(more, max_size=3) | objects(names, more), max_leaves=6
    )
    return objects(names, inner) | inner


def objects(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(names) if names else st.text(max_size=5)
    return st.dictionaries(keys | st.text(max_size=5), values, max_size=6)


def fill(path: str, number: int) -> str:
    """Put something well-formed into each parameter of a path."""
    some = str(uuid.UUID(int=number))
    kinds = {"deal": some, "settlement": some, "request": some, "channel": str(-number)}
    kinds["ad_format"] = "STANDARD"

    def value(parameter: re.Match[str]) -> str:
        return next((kinds[kind] for kind in kinds if parameter[1].startswith(kind)), str(number))

    return re.sub(r"\{(\w+)\}", value, path)


@pytest.mark.thorough
@pytest.mark.parametrize(("method", "path", "names"), list(operations()))
@override_settings(TELEGRAM_API_URL="http://127.0.0.1:9")
def test_no_request_breaks_an_operation(method: str, path: str, names: list[str]) -> None:
    ann = sign_in()

    @given(body=json_values(names), number=st.integers(1, 2**62))
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def ask(body: object, number: int) -> None:
        redis_state().flushdb()
        target, data = fill(path, number), json.dumps(body)
        if method == "GET":
            pairs = body if isinstance(body, dict) else {"cursor": data}
            target, data = f"{target}?{urlencode(pairs, errors='replace')}", ""
        answer = ann.generic(method, target, data, content_type="application/json")
        assert answer.status_code in {*range(200, 500), 503}, answer.content
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code

    ask()


def test_a_stranger_is_refused_by_every_operation() -> None:
    client = Client()
    open_to_all = {("POST", "/api/v1/auth/login")}

    answers = {
        (method, path): client.generic(
            method, fill(path, 1), content_type="application/json"
        ).status_code
        for method, path, _names in operations()
    }

    assert {which for which, status in answers.items() if status != 401} == open_to_all
    assert len(answers) == len(list(operations()))
