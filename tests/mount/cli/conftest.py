"""The command line and an instance to use it on."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.mount.cast import Cast
from tests.mount.instance import Instance
from tests.mount.policies import arguments, write

COMMAND = (sys.executable, "-m", "fdstorefs")

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def instance(
    running_instance: Callable[..., Instance], request: pytest.FixtureRequest, cast: Cast
) -> Instance:
    """A fresh instance, with a policy if the test is parametrized with the text of one."""
    policy = getattr(request, "param", None)
    if policy is None:
        return running_instance()
    return running_instance(arguments=arguments(write(f"{cast.home(None)}/policy.yaml", policy)))


@pytest.fixture
def fdstorefs(instance: Instance) -> Run:
    """Run one command line on it: `fdstorefs("ls", "-l", expect=0)`; `through` comes before the command."""

    def run(*arguments: str, expect: int | None = 0, through: Sequence[str] = (), **popen: Any) -> Done:
        done = instance.run([*through, *COMMAND, "--at", instance.mount, *arguments], **popen)
        assert expect in (None, done.returncode), done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def shell(script: str) -> list[str]:
    """A prefix that opens descriptors in a shell before the command: `shell("exec 5</etc/hostname")`."""
    return ["bash", "-c", f'{script}; exec "$@"', "bash"]
