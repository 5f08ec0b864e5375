"""The servers' programs, from the wheels that carry them."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import stat
import tempfile
from pathlib import Path

from sandbox.process import Account

_COPIES = Path("/var/cache/advertmarket-sandbox")


class MissingWheel(Exception):
    """A server's wheel is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is missing: pip install -r requirements-dev.txt")


def package_dir(name: str) -> Path:
    """Return the directory of an installed package, without importing it.

    Raises:
        MissingWheel: it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingWheel(name)
    return Path(spec.origin).parent


def reachable(tree: Path, *companions: Path, account: Account | None) -> Path:
    """Return `tree`, or a copy of it if `account` may not enter where it lies.

    That is the case when root's virtual environment is below a 0700 home. Companions (shared
    libraries that the programs find by a relative path) are copied along; all must lie in the
    same site-packages.
    """
    tree = tree.resolve()
    if account is None or closed(tree) is None:
        return tree
    site_packages = next(path for path in tree.parents if path.name == "site-packages")
    _COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)  # root's, so nobody else plants programs
    copy = _COPIES / hashlib.sha256(f"{tree} {tree.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(dir=_COPIES))
        partial.chmod(0o755)
        for source in (tree, *companions):
            shutil.copytree(source, partial / source.resolve().relative_to(site_packages))
        try:
            partial.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return copy / tree.relative_to(site_packages)


def closed(directory: Path) -> Path | None:
    """Return the first directory on the way to `directory` that not everybody may enter."""
    for path in (*reversed(directory.parents), directory):
        if not path.stat().st_mode & stat.S_IXOTH:
            return path
    return None
