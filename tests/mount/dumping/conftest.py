"""Two instances, and commands on them."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.mount.cast import Cast, Process
from tests.mount.instance import Instance

COMMAND = (sys.executable, "-m", "fdstorefs")
SECONDS = 60

Done = subprocess.CompletedProcess[str]
Start = Callable[..., Instance]
Run = Callable[..., Done]
Begin = Callable[..., Process]


@pytest.fixture
def source(running_instance: Start) -> Instance:
    """Where everything comes from."""
    return running_instance()


@pytest.fixture
def goal(running_instance: Start) -> Instance:
    """Where it goes."""
    return running_instance()


@pytest.fixture
def begin(cast: Cast) -> Begin:
    """Start a command line: `begin("dump", "--to", path, at=source)`."""

    def start(
        *arguments: str, at: Instance | None = None, user: str | None = None, **popen: object
    ) -> Process:
        where = ("--at", at.mount) if at is not None else ()
        return cast.start(cast.command([*COMMAND, *where, *arguments], user), **popen)

    return start


@pytest.fixture
def run(begin: Begin) -> Run:
    """The same, to its end."""

    def to_the_end(*arguments: str, expect: int | None = 0, **how: object) -> Done:
        return finish(begin(*arguments, **how), expect)

    return to_the_end


def finish(process: Process, expect: int | None = 0) -> Done:
    """Wait for the end of a command."""
    out, err = process.communicate(timeout=SECONDS)
    assert expect in (None, process.returncode), err
    assert "Traceback" not in err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
