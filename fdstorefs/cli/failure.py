"""How a command fails: what it says, and with which exit code it ends."""

import os
import sys

from fdstorefs.cli.visible import printable
from fdstorefs.errors import StoreError

FAILED, USAGE, DENIED = 1, 2, 3
CANNOT_RUN, NO_SUCH_COMMAND = 126, 127
INTERRUPTED, BROKEN_PIPE = 130, 141


class Failure(Exception):
    """A command can't go on; says what, and perhaps what to do."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class UsageError(Failure):
    """The command line makes no sense."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, exit_code=USAGE)


def say(message: str, hint: str | None = None) -> None:
    """Print an error for people."""
    print(f"fdstorefs: {printable(message)}", file=sys.stderr)
    if hint:
        print(f"  hint: {printable(hint)}", file=sys.stderr)


def report(error: Failure | OSError) -> int:
    """Print an error and return the exit code that belongs to it."""
    if isinstance(error, Failure | StoreError):
        say(error.message, error.hint)
        if isinstance(error, StoreError) and error.decision is not None:
            print(f"  on record: {printable(error.decision)}", file=sys.stderr)
        return error.exit_code
    say(describe(error))
    return FAILED


def describe(error: OSError) -> str:
    """An error of the operating system in our words."""
    reason = error.strerror or str(error)
    if error.errno and reason == os.strerror(error.errno):
        reason = reason.lower()
    return f"`{os.fsdecode(error.filename)}`: {reason}" if isinstance(error.filename, str | bytes) else reason
