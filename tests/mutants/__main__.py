"""`make mutants`: plant each fault in a copy of the product, and see that the suite finds it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.scratch import scratch_dir

from .mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Verdict:
    """What the suite said of a planted fault."""

    mutation: Mutation
    outcome: str
    noticed_by: str
    seconds: float


def main() -> int:
    """Print the table; 0 if every fault was found."""
    copy = scratch_dir() / "mutant"
    try:
        _copy_product(copy)
        if problem := _problem_without_fault(copy):
            print(f"without any fault the tests do not pass: {problem}")
            return 1
        verdicts = [_try(mutation, copy) for mutation in MUTATIONS]
    finally:
        shutil.rmtree(copy.parent, ignore_errors=True)
    found = sum(verdict.outcome == "found" for verdict in verdicts)
    print(f"\n{found} of {len(verdicts)} planted faults found")
    return 0 if found == len(verdicts) else 1


def _copy_product(copy: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    compiled = [str(path.relative_to(ROOT)) for path in (ROOT / "locale").rglob("*.mo")]
    for name in filter(None, [*tracked, *compiled]):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)


def _problem_without_fault(copy: Path) -> str:
    tests = sorted({path for mutation in MUTATIONS for path in mutation.tests})
    status, said = _run(tests, copy)
    return "" if status == 0 else _first_failure(said) or said[-500:]


def _try(mutation: Mutation, copy: Path) -> Verdict:
    began = time.monotonic()
    path = copy / mutation.file
    original = path.read_text()
    mutated = original
    for old, new in mutation.edits:
        if mutated.count(old) != 1:
            return _say(Verdict(mutation, "CANNOT BE PLANTED", old.strip(), 0.0))
        mutated = mutated.replace(old, new)
    try:
        path.write_text(mutated)
        status, said = _run(list(mutation.tests), copy)
    finally:
        path.write_text(original)
    failure = _first_failure(said)  # pytest's exit code tells a failure from a stop only without -n
    outcome = "SURVIVED" if status == 0 else "found" if failure else "TESTS DID NOT RUN"
    return _say(Verdict(mutation, outcome, failure, time.monotonic() - began))


def _run(tests: list[str], copy: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", "-p", "no:cacheprovider"]
    command += ["-m", "not kafka and not slow and not money"]
    done = subprocess.run([*command, *tests], cwd=copy, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def _first_failure(said: str) -> str:
    """The first test that failed, or after which the books were wrong (pytest says ERROR)."""
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?([^/\s]+::\S+)", said, re.MULTILINE)
    return failed[0] if failed else ""


def _say(verdict: Verdict) -> Verdict:
    print(
        f"{verdict.outcome:<17} {verdict.seconds:5.0f} s  {verdict.mutation.name}"
        f"\n{'':27}{verdict.noticed_by}",
        flush=True,
    )
    return verdict


if __name__ == "__main__":
    sys.exit(main())
