"""Fixtures for real users, namespaces and instances.

- `as_user(argv, user="daemon", **popen)`: start a command as an ordinary user
- `user_namespace(argv, user="daemon", map_root=True, **popen)`: the same in a new user and mount namespace
- `running_instance(user=None, namespace=False, map_root=True, mount=None, arguments=(), descriptors=None)`: a
  server that is ready, as an `Instance`; user None is whoever runs the tests, `descriptors` its hard limit of them
- `home`: a directory of the ordinary user's own; `cast.home(user)` of another's
- `wait_for(predicate, seconds=10, what="")`: poll with a deadline
"""

import os
import select
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any

import pytest

from tests.mount import waiting
from tests.mount.cast import ORDINARY_USER, REPOSITORY, Cast, Process
from tests.mount.instance import Instance
from tools.reachable import enter_own_mount_namespace, open_the_way

START_SECONDS = 20


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> None:
    """Give root's tests a mount namespace: what they mount ends with them, and all users reach the clone."""
    if os.geteuid() == 0:
        enter_own_mount_namespace()
        open_the_way(REPOSITORY)


@pytest.fixture
def cast() -> Iterator[Cast]:
    """Homes and processes for users; the processes end before the homes go."""
    with ExitStack() as stack:
        yield Cast(stack)


@pytest.fixture
def home(cast: Cast) -> str:
    """A directory of the ordinary user's own."""
    return cast.home(ORDINARY_USER)


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """Poll until a predicate is true, with a deadline."""
    return waiting.wait_for


@pytest.fixture
def as_user(cast: Cast) -> Callable[..., Process]:
    """Start commands as an ordinary user; each leads a process group, killed after the test."""

    def start(argv: Sequence[str], user: str = ORDINARY_USER, **popen: Any) -> Process:
        return cast.start(cast.command(argv, user), **popen)

    return start


@pytest.fixture
def user_namespace(as_user: Callable[..., Process]) -> Callable[..., Process]:
    """Start commands in user and mount namespaces that an ordinary user makes, as their root by default."""

    def start(
        argv: Sequence[str], user: str = ORDINARY_USER, *, map_root: bool = True, **popen: Any
    ) -> Process:
        return as_user([*unsharing(map_root=map_root), *argv], user, **popen)

    return start


@pytest.fixture
def running_instance(cast: Cast) -> Iterator[Callable[..., Instance]]:
    """Start instances; whatever one leaves behind fails the test."""
    with ExitStack() as instances:

        def start(
            *,
            user: str | None = None,
            namespace: bool = False,
            map_root: bool = True,
            mount: str | None = None,
            arguments: Sequence[str] = (),
            descriptors: int | None = None,
        ) -> Instance:
            path = mount or cast.directory(user, "fdstore-")
            log = instances.enter_context(tempfile.TemporaryFile("a+"))
            ready, ready_fd = os.pipe()
            announcement = instances.enter_context(os.fdopen(ready))
            with os.fdopen(ready_fd, "w"):
                serve = [sys.executable, "-m", "fdstorefs", "serve", "--ready-fd", str(ready_fd)]
                limited = (
                    [] if descriptors is None else ["prlimit", f"--nofile={descriptors}:{descriptors}", "--"]
                )
                apart = unsharing(map_root=map_root) if namespace else []
                argv = [*limited, *apart, *serve, *arguments, path]
                process = cast.start(cast.command(argv, user), stdout=log, stderr=log, pass_fds=[ready_fd])
            instance = Instance(path, process, user, namespace, cast, log)
            instances.callback(instance.end)
            await_readiness(instance, announcement)
            return instance

        yield start


def unsharing(*, map_root: bool) -> list[str]:
    """The command line prefix that makes a new user and mount namespace."""
    return ["unshare", "--user", "--mount", "--map-root-user" if map_root else "--map-current-user", "--"]


def await_readiness(instance: Instance, ready: IO[str]) -> None:
    """Block until the server says `ready`; fail with its own words when it ends or keeps silent instead."""
    readable, _, _ = select.select([ready], [], [], START_SECONDS)
    said = ready.readline() if readable else ""
    assert said == "ready\n", f"it doesn't get ready:\n{instance.said()}"
