"""The command line, run in an actor: a real `fdstorefs`, without the seconds that an interpreter takes to start.

What it needs is imported here, for the fork server to have it.
"""

import os
import sys

import fdstorefs.cli.commands.enforce
import fdstorefs.cli.commands.serve
import fdstorefs.client.store
import fdstorefs.enforcer.enforcer
import fdstorefs.server.instance  # noqa: F401
from fdstorefs.cli.main import main


def run(arguments: list[str], log: int, ready: int) -> int:
    """Run a command that says when it is ready, and return its exit code. What it prints goes to `log`."""
    return main(prepare(arguments, log, ready))


def prepare(arguments: list[str], log: int, ready: int) -> list[str]:
    """Have everything printed to `log`, and give the whole command line."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    verb, *rest = arguments
    return [verb, "--ready-fd", str(ready), *rest]
