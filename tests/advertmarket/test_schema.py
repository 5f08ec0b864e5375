"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.test import Client
from drf_spectacular import generators, validation
from drf_spectacular.drainage import GENERATOR_STATS

from advertmarket.errors import Code

Schema = dict[str, Any]


def generate() -> Schema:
    generator = generators.SchemaGenerator()  # type: ignore[no-untyped-call]  # the library's
    schema: Schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


def test_the_schema_is_valid_and_gives_no_warning() -> None:
    with GENERATOR_STATS.silence():
        schema = generate()
        warnings = {**GENERATOR_STATS._warn_cache, **GENERATOR_STATS._error_cache}

    assert warnings == {}
    validation.validate_schema(schema)  # type: ignore[no-untyped-call]  # the library's
    assert schema["openapi"] == "3.1.0"


@pytest.fixture
def schema() -> Schema:
    """The document as it is served."""
    answer = Client().get("/api/v1/schema")
    assert answer.status_code == 200
    document: Schema = yaml.safe_load(answer.content)
    return document


OTHERS_FORMS = {"Problem", "TonProof", "TonProofBody"}


def test_names_on_the_wire_are_camel_case_but_in_forms_that_others_made(
    schema: Schema,
) -> None:
    names = {
        name
        for title, component in schema["components"]["schemas"].items()
        if title not in OTHERS_FORMS
        for name in component.get("properties", {})
    }

    assert names
    assert {name for name in names if not re.fullmatch(r"[a-z][a-zA-Z0-9]*", name)} == set()


def test_every_operation_tells_of_problems(
    schema: Schema,
) -> None:
    silent = [
        operation["operationId"]
        for path in schema["paths"].values()
        for operation in path.values()
        if "4XX" not in operation["responses"]
    ]

    assert silent == []


def test_the_document_lists_every_error_code(
    schema: Schema,
) -> None:
    description = str(schema["info"]["description"])

    assert [code for code in Code if f"| {code} | " not in description] == []


def test_the_page_holds_nothing_inline_under_the_strict_policy() -> None:
    page = Client().get("/api/v1/docs")
    script = Client().get("/api/v1/docs?script=")

    text = page.content.decode()
    assert "unsafe" not in page["Content-Security-Policy"]
    assert "<style" not in text
    assert "style=" not in text
    assert [tag for tag in re.findall(r"<script[^>]*>", text) if "src=" not in tag] == []
    assert re.findall(r'(?:src|href)="(https?:[^"]*)"', text) == []
    assert script["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()
