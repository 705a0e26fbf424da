"""The users of one test and the processes that run for them; none of it survives the test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.host import procfs
from fdstorefs.server.mounting import unmount

REPOSITORY = Path(__file__).resolve().parents[2]
AS_USER = str(REPOSITORY / "tools" / "as-user")
ORDINARY_USER = "daemon"
STOP_SECONDS = 10

Process = subprocess.Popen[str]


class Cast:
    """Users, each with a home directory, and processes. A user is a name; None is whoever runs the tests."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._homes: dict[str | None, str] = {}

    def home(self, user: str | None) -> str:
        """A directory of that user's own, the same throughout the test."""
        if user not in self._homes:
            self._homes[user] = self._make_home(user)
        return self._homes[user]

    def directory(self, user: str | None, prefix: str) -> str:
        """A new empty directory in that user's home."""
        path = tempfile.mkdtemp(prefix=prefix, dir=self.home(user))
        own(path, user)
        return path

    def command(self, argv: Sequence[str], user: str | None) -> list[str]:
        """The command line that runs `argv` as that user, in the very process that is started."""
        if user is None:
            return list(argv)
        if os.geteuid() != 0 and user not in (ORDINARY_USER, pwd.getpwuid(os.geteuid()).pw_name):
            pytest.skip(f"only root can run a command as `{user}`")
        return [AS_USER, "--user", user, "--home", self.home(user), "--", *argv]

    def start(self, argv: Sequence[str], **popen: Any) -> Process:
        """Start a process that leads a group of its own; at the end of the test the group is killed."""
        defaults: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "cwd": REPOSITORY,
            "env": environment(),
        }
        process: Process = subprocess.Popen(argv, start_new_session=True, **{**defaults, **popen})
        self._stack.callback(kill_group, process)
        return process

    def _make_home(self, user: str | None) -> str:
        home = os.path.realpath(tempfile.mkdtemp(prefix=f"fdstorefs-{user or 'test'}-"))
        self._stack.callback(_remove_home, home)
        own(home, user)
        return home


def own(path: str, user: str | None) -> None:
    """Give a file to a user, where we can become that user."""
    if user is not None and os.geteuid() == 0:
        shutil.chown(path, user, pwd.getpwnam(user).pw_gid)


def environment() -> dict[str, str]:
    """An environment in which `python -m fdstorefs` and the tests' own programs are found."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


def mounted_below(directory: str) -> list[str]:
    """The mounts at or below a directory, innermost first."""
    points = [mount.mount_point for mount in procfs.mounts().mounts]
    return [point for point in reversed(points) if (point + "/").startswith(directory + "/")]


def group_is_gone(group: int) -> bool:
    """Whether no process of a process group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def kill_group(process: Process) -> None:
    """Kill a process that leads a group, and the group; reap it and close our ends of its pipes."""
    if not group_is_gone(process.pid):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _remove_home(home: str) -> None:
    for mount in mounted_below(home):
        unmount(mount, lazy=True)
    shutil.rmtree(home)
