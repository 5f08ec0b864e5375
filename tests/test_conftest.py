"""The books are checked after each test that used a database, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
BOOKS_THAT_ARE_WRONG = """
import pytest
from ops import checks

@pytest.fixture(autouse=True, scope="session")
def wrong():
    checks.run_all = lambda: {"the books": ["one nanoTON too many"]}

@pytest.mark.django_db
def test_rolled_back(): pass

def test_committed(committed_db): pass

@pytest.mark.django_db
@pytest.mark.leaves_findings
def test_on_purpose(): pass

def test_without_a_database(): pass
"""


@pytest.mark.thorough
def test_a_test_that_leaves_wrong_books_fails(tmp_path: Path) -> None:
    module = tmp_path / "test_books.py"
    module.write_text(BOOKS_THAT_ARE_WRONG)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rE", "--tb=line"),
            *("-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", str(module)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = {
        line.split("::")[1].split(" ")[0]
        for line in result.stdout.splitlines()
        if line.startswith("ERROR ")
    }
    assert errors == {"test_rolled_back", "test_committed"}, result.stdout
    assert "4 passed, 2 errors" in result.stdout


def test_waiting_gives_the_value_or_fails_with_what_was_missed() -> None:
    values = iter([0, 0, 7])
    assert wait_until(lambda: next(values)) == 7
    with pytest.raises(pytest.fail.Exception, match=r"in 0.05 s: a payout \(last: 0\)"):
        wait_until(lambda: 0, timeout_s=0.05, what="a payout")
