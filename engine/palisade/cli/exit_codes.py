"""What a command's exit code says. docs/reference/cli.md has the same table."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    """Done; nothing to complain of."""
    FOUND = 1
    """The command found what it looks for: an error in a policy, a denied request, a failed step."""
    USAGE = 2
    """The command line, palisade.yaml or an input file is wrong; nothing was started."""
    UNREACHABLE = 3
    """No engine answers where one was expected."""
    FAILED = 4
    """Something could not be started (a port is taken, say), or ended when it should not have."""


class CommandError(Exception):
    """Ends a command with a message for people and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.USAGE, hint: str = "") -> None:
        self.code = code
        self.hint = hint
        super().__init__(message)
