"""Become a command that ends when the parent does; run as a script by `sandbox.process`.

    python -I -S tether.py PARENT_PID SIGNAL UID:GID COMMAND...     ("-" for UID:GID: stay)

A script and not a `preexec_fn`, since Python must not run in the child of a process with threads.
"""

from __future__ import annotations

import ctypes  # here, since the account may not be able to read the library
import os
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: str, death_signal: str, account: str, *command: str) -> None:
    """Drop to the account, ask the kernel for the death signal, and exec."""
    if account != "-":
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # after the change of account, which clears it (prctl(2))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit("the parent died before it could be tethered to")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(*sys.argv[1:])
