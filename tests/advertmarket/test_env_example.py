"""`.env.example` documents every variable that the settings read, and no other."""

from __future__ import annotations

import re
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]


def test_the_example_names_what_the_settings_read() -> None:
    settings = (HOUSE / "advertmarket/settings.py").read_text()
    example = (HOUSE / ".env.example").read_text()

    read = set(re.findall(r"(?:env|Environment\([^)]*\(\)\))\.\w+\(\s*\"([A-Z_0-9]+)\"", settings))
    documented = set(re.findall(r"^([A-Z_0-9]+)=", example, re.MULTILINE))

    assert documented - {"PROCESS_ROLE"} == read - {"PROCESS_ROLE"}
