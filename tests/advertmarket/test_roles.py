"""A process is one role and does the work of no other; the mnemonic is the signer's alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import VARIABLES

pytestmark = pytest.mark.thorough

HOUSE = Path(__file__).parents[2]
MNEMONIC = VARIABLES["TON_WALLET_MNEMONIC"]
SHARED = {
    **{name: value for name, value in VARIABLES.items() if name != "TON_WALLET_MNEMONIC"},
    "DB_PASSWORD": "none",
    "TELEGRAM_VERIFIER_CHAT_ID": "-1001234567890",
}
CELERY = ("-m", "celery", "-A", "advertmarket")
WORKER = (*CELERY, "worker", "--pool=threads", "--concurrency=1")


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=HOUSE,
        env={"PATH": os.environ["PATH"], **SHARED, **env},
        text=True,
        capture_output=True,
        check=False,
        timeout=50,
    )


@pytest.mark.parametrize(
    ("work", "arguments", "role"),
    [
        ("web", ("manage.py", "serve"), "consumer"),
        ("consumer", ("manage.py", "consume", "--all"), "web"),
        ("chain", ("manage.py", "read_chain"), "manage"),
        ("watch", ("manage.py", "watch"), "worker"),
        ("beat", (*CELERY, "beat", "--schedule={tmp}/beat"), "worker"),
        ("worker", (*WORKER, "--queues=celery"), "signer"),
        ("worker", (*WORKER, "--queues=celery,signer"), "signer"),
        ("signer", (*WORKER, "--queues=signer"), "worker"),
    ],
)
def test_work_of_another_role_is_refused(
    work: str, arguments: tuple[str, ...], role: str, tmp_path: Path
) -> None:
    mnemonic = {"TON_WALLET_MNEMONIC": MNEMONIC} if role == "signer" else {}

    refused = run(*(part.format(tmp=tmp_path) for part in arguments), PROCESS_ROLE=role, **mnemonic)

    line = f"advertmarket cannot start: PROCESS_ROLE is {role}, but this is the work of the {work}"
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (78, line)
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("role", ["web", "worker", "consumer", "beat", "chain", "watch"])
def test_the_mnemonic_is_refused_by_whoever_does_not_sign(role: str) -> None:
    refused = run("manage.py", "check", PROCESS_ROLE=role, TON_WALLET_MNEMONIC=MNEMONIC)

    assert refused.returncode == 78
    assert refused.stderr == (
        "advertmarket cannot start: TON_WALLET_MNEMONIC must not be known to the "
        f"{role} (only to the signer)\n"
    )


@pytest.mark.parametrize("role", ["signer", "manage"])
def test_the_mnemonic_is_taken_where_it_is_used_or_made(role: str) -> None:
    checked = run("manage.py", "check", PROCESS_ROLE=role, TON_WALLET_MNEMONIC=MNEMONIC)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_role_that_is_none_is_refused() -> None:
    refused = run("manage.py", "check", PROCESS_ROLE="boss")

    assert refused.returncode == 78
    assert refused.stderr.startswith("advertmarket cannot start: PROCESS_ROLE must be one of beat,")
