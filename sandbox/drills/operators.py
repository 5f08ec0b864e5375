"""The operators' hands: commands of the product, each under somebody's name and password."""

from __future__ import annotations

import secrets
import shlex
import subprocess

from sandbox.demo.opening import OPERATOR
from sandbox.demo.stack import Stack

from .script import Missing, Script

SECOND = "second"


class Operators:
    """Two people who may do everything; what they do is told as a fix."""

    def __init__(self, stack: Stack, script: Script, password: str) -> None:
        self._stack = stack
        self.script = script
        self._passwords = {OPERATOR: password, SECOND: secrets.token_urlsafe(12)}
        stack.manage(
            "create_operator", SECOND, "--superuser", OPERATOR_PASSWORD=self._passwords[SECOND]
        )

    def run(self, *command: str, second: bool = False, by: str = OPERATOR) -> str:
        """Run a command that is audited, as one operator, or as two; return what it printed.

        Raises:
            Missing: it refused.
        """
        names = ["--operator", by, *(["--second", SECOND] if second else [])]
        return self._told([*command, *names], by=by)

    def refused(self, *command: str) -> str:
        """Run a command that must not do what it is asked; return what it says instead.

        Raises:
            Missing: it did it.
        """
        arguments = [*command, "--operator", OPERATOR]
        self.script.fix(f"$ manage.py {shlex.join(arguments)}")
        try:
            printed = self._manage(arguments, by=OPERATOR)
        except subprocess.CalledProcessError as refusal:
            answer = str(refusal.stdout).strip().splitlines()[-1]
            self.script.says(answer)
            return answer
        raise Missing(f"manage.py {command[0]} was not refused: {printed.strip()}")

    def look(self, *command: str) -> str:
        """Run a command that changes nothing; return what it printed, whatever its exit code."""
        try:
            return self._stack.manage(*command)
        except subprocess.CalledProcessError as failed:
            return str(failed.stdout)

    def plain(self, *command: str) -> str:
        """Run a command of the product that takes no operator; return what it printed."""
        return self._told(list(command), by=OPERATOR)

    def _told(self, arguments: list[str], *, by: str) -> str:
        self.script.fix(f"$ manage.py {shlex.join(arguments)}")
        try:
            printed = self._manage(arguments, by=by)
        except subprocess.CalledProcessError as failed:
            raise Missing(
                f"manage.py {arguments[0]} failed: {str(failed.stdout).strip()}"
            ) from failed
        self.script.says(printed)
        return printed

    def _manage(self, arguments: list[str], *, by: str) -> str:
        return self._stack.manage(
            *arguments,
            OPERATOR_PASSWORD=self._passwords[by],
            OPERATOR_PASSWORD_SECOND=self._passwords[SECOND],
        )
