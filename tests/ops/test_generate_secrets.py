"""What generate_secrets prints is enough to start with, and new each time."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HOUSE = Path(__file__).parent.parent.parent


def manage(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=HOUSE,
        env={"PATH": os.environ["PATH"], **env},
        text=True,
        capture_output=True,
        check=False,
    )


def secrets() -> dict[str, str]:
    printed = manage("generate_secrets")
    assert printed.returncode == 0, printed.stderr
    return dict(item.split("=", 1) for item in shlex.split(printed.stdout, comments=True))


def test_it_needs_no_configuration_and_makes_what_the_signer_needs() -> None:
    made = secrets()

    assert len(made["TON_WALLET_MNEMONIC"].split()) == 24
    assert len(bytes.fromhex(made["TON_WALLET_PUBLIC_KEY"])) == 32
    checked = manage("check", PROCESS_ROLE="signer", TON_API_KEY="key", **made)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_mnemonic_stands_apart_with_a_warning() -> None:
    shared, _, signer = manage("generate_secrets").stdout.partition("\n\n")

    assert "TON_WALLET_MNEMONIC" not in shared
    warning, _copy, mnemonic = signer.splitlines()
    assert warning.startswith("# for the signer's environment alone")
    assert mnemonic.startswith("TON_WALLET_MNEMONIC=")


def test_every_value_is_new() -> None:
    first, second = secrets(), secrets()

    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


def test_without_secrets_the_product_names_the_missing_one() -> None:
    refused = manage("check")

    assert refused.returncode == 78
    assert refused.stderr.count("\n") == 1
    assert "is missing (make one with: python manage.py generate_secrets)" in refused.stderr
