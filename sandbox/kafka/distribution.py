"""Where Kafka's jars come from: KAFKA_HOME, or Maven Central through Maven."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

_POM = Path(__file__).with_name("pom.xml")
_CACHE = Path(__file__).resolve().parents[2] / "var" / "kafka"
_JAVA_AT_LEAST = 17  # Kafka 4's servers: https://kafka.apache.org/41/getting-started/compatibility/
_FETCH_TIMEOUT_S = 600


class Unavailable(Exception):
    """This machine cannot run Kafka; the message says what is missing."""


def jars() -> Path:
    """Return the directory with Kafka's jars, fetching them the first time.

    Raises:
        Unavailable: no Java 17, or neither KAFKA_HOME nor a Maven that can fetch them.
    """
    _require_java()
    if home := os.environ.get("KAFKA_HOME"):
        directory = Path(home) / "libs"
        if not any(directory.glob("kafka_2*.jar")):
            raise Unavailable(f"KAFKA_HOME holds no Kafka: nothing in {directory}")
        return directory
    directory = _CACHE / hashlib.sha256(_POM.read_bytes()).hexdigest()[:16]
    if not directory.exists():
        _fetch(directory)
    return directory


def _require_java() -> None:
    if shutil.which("java") is None:
        raise Unavailable("no java on the PATH")
    answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < _JAVA_AT_LEAST:
        raise Unavailable(f"Kafka 4 needs Java {_JAVA_AT_LEAST}, not: {answer.stderr.strip()}")


def _fetch(directory: Path) -> None:
    if shutil.which("mvn") is None:
        raise Unavailable("neither KAFKA_HOME is set nor mvn is on the PATH")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE, ignore_cleanup_errors=True) as partial:
        maven = subprocess.run(
            [
                *("mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"),
                *("-DincludeScope=runtime", f"-DoutputDirectory={partial}/jars"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_TIMEOUT_S,
        )
        if maven.returncode != 0:
            first = next((line for line in maven.stdout.splitlines() if "[ERROR]" in line), "")
            raise Unavailable(f"mvn could not fetch Kafka: {first}")
        Path(partial, "jars").rename(directory)
