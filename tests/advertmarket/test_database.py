"""What the connections of each role put up with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests.database import Clone
from tests.environment import VARIABLES

HOUSE = Path(__file__).parents[2]
NAMES = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
ASK = """
import django; django.setup()
from django.conf import settings
from django.db import connection
with connection.cursor() as cursor:
    for name in {names}:
        cursor.execute("SHOW " + name)
        print(*cursor.fetchone())
print(connection.settings_dict["OPTIONS"]["pool"]["max_size"], settings.WEB_THREADS)
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("role", "statement_timeout"), [("web", "30s"), ("beat", "5min"), ("manage", "0")]
)
def test_waits_end_by_themselves(committed_db: Clone, role: str, statement_timeout: str) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK.format(names=NAMES)],
        cwd=HOUSE,
        env={
            **os.environ,
            **VARIABLES,
            **committed_db.env,
            "PROCESS_ROLE": role,
            "TON_WALLET_MNEMONIC": "",
            "WEB_THREADS": "24",
        },
        text=True,
        capture_output=True,
        check=True,
    )

    assert asked.stdout.splitlines() == [statement_timeout, "10s", "1min", "24 24"]


@pytest.mark.django_db
def test_the_server_s_silence_is_noticed() -> None:
    with connection.cursor() as cursor:
        pgconn = cursor.connection.pgconn
        given = {option.keyword.decode(): option.val for option in pgconn.info}

    assert given["tcp_user_timeout"] == b"30000"
    assert (given["keepalives_idle"], given["keepalives_count"]) == (b"10", b"4")
