"""10: the disk fills. A small one of its own is filled, which DISK_PATH has the product watch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.process import Child, ChildFailed

from .room import Room
from .script import Skipped

SIZE_MB = 16
FULL = 0.95
_SMALL_BYTES = 256 << 20
_THERE = (Path("/dev/shm"), Path("/run"))

_KEEPER = """
mount -t tmpfs -o size=%dm tmpfs "$1" && echo mounted && exec sleep infinity
"""


@contextmanager
def small_disk(root: Path) -> Iterator[Path | None]:
    """Give a folder on a disk of a few MB, or None where none can be had.

    One is mounted in a namespace of its own: as root, or as whom the kernel lets be root there.
    Where neither is allowed, as in many containers, a small disk that is there will do.
    """
    point = root / "small-disk"
    point.mkdir(parents=True)
    for flags in ("--mount", "--user --map-root-user --mount"):
        keeper = Child(
            "small disk",
            ["unshare", *flags.split(), "sh", "-c", _KEEPER % SIZE_MB, "sh", point],
            log=root / "small-disk.log",
        )
        try:
            keeper.wait_for_line("mounted", timeout_s=5)
        except ChildFailed:
            continue
        try:
            yield Path(f"/proc/{keeper.pid}/root{point}")
        finally:
            keeper.kill()
        return
    yield next((path for path in _THERE if _is_small(path)), None)


def drill(room: Room) -> None:
    """It is filled beyond 90 %; with a file gone all is well again."""
    eyes, script = room.eyes, room.script
    if "DISK_PATH" not in room.stack.settings:
        raise Skipped("no small disk can be mounted here, and there is none")
    disk = Path(room.stack.settings["DISK_PATH"])
    usage = shutil.disk_usage(disk)
    script.cause(f"a disk of {usage.total >> 20} MB is filled: {disk}")
    ballast = disk / "drill.log"
    try:
        ballast.write_bytes(b"\0" * int(usage.total * FULL - usage.used))
        used = shutil.disk_usage(disk)
        script.symptom("df", f"{100 * used.used // used.total} % are used")
        eyes.down("disk", "% are used")
        eyes.metric("disk_free_bytes", lambda value: value < usage.total * 0.1)
        eyes.alert("DiskNearlyFull")
        eyes.alert("DiskFilling")
        eyes.incident("disk_full", within_s=60)
        eyes.status("disk", "% are used")
        script.fix(f"what grew is found and deleted: {ballast.name}")
    finally:
        ballast.unlink(missing_ok=True)
    eyes.well("disk")
    eyes.metric("disk_free_bytes", lambda value: value > usage.total * 0.2)
    eyes.quiet("DiskNearlyFull", "DiskFilling")
    script.proof(room.operators.look("preflight", "disk").splitlines()[1])


def _is_small(path: Path) -> bool:
    if not path.is_mount():
        return False
    usage = shutil.disk_usage(path)
    return usage.total <= _SMALL_BYTES and usage.used < usage.total // 2
