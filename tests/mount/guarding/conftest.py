"""Fixtures: an enforcer that can be told what to do, and instances that it is to guard."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import fdstorefs
from tests.mount.cast import Cast, Process
from tests.mount.conftest import await_readiness
from tests.mount.guarding.fake_enforcer import FakeEnforcer, Kernel
from tests.mount.instance import Instance

Serve = Callable[..., Instance]

if os.geteuid() != 0:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def directory() -> Iterator[str]:
    """Where socket, kernel and audit log are."""
    with tempfile.TemporaryDirectory(prefix="fdstorefs-") as path:
        os.chmod(path, 0o777)
        yield path


@pytest.fixture
def kernel(directory: str) -> Kernel:
    """A kernel that enforces nothing yet."""
    return Kernel(f"{directory}/kernel")


@pytest.fixture
def absent_enforcer(directory: str, kernel: Kernel) -> Iterator[FakeEnforcer]:
    """One that does not run yet."""
    enforcer = FakeEnforcer(f"{directory}/enforcer.sock", kernel)
    yield enforcer
    enforcer.end()


@pytest.fixture
def enforcer(absent_enforcer: FakeEnforcer) -> FakeEnforcer:
    """One that runs."""
    absent_enforcer.start()
    return absent_enforcer


@pytest.fixture
def begin(cast: Cast, directory: str) -> Iterator[Callable[..., tuple[Instance, int]]]:
    """Start a server, which need not come to serve. Returns it and where it says that it does."""
    with ExitStack() as stack:

        def start(enforcement: str = "kernel", *more: str) -> tuple[Instance, int]:
            mount = cast.directory(None, "fdstore-")
            log = stack.enter_context(tempfile.TemporaryFile("a+"))
            ready, ready_fd = os.pipe()
            argv = [sys.executable, "-m", "tests.mount.guarding.serving", mount, str(ready_fd), enforcement]
            places = [f"{directory}/{name}" for name in ("enforcer.sock", "kernel", "audit")]
            process = cast.start([*argv, *places, *more], stdout=log, stderr=log, pass_fds=[ready_fd])
            os.close(ready_fd)
            instance = Instance(mount, process, None, False, cast, log)
            stack.callback(instance.end)
            return instance, ready

        yield start


@pytest.fixture
def serve(begin: Callable[..., tuple[Instance, int]]) -> Serve:
    """Start an instance and wait until it serves."""

    def start(enforcement: str = "kernel", *more: str) -> Instance:
        instance, ready = begin(enforcement, *more)
        with os.fdopen(ready) as announcement:
            await_readiness(instance, announcement)
        return instance

    return start


@pytest.fixture
def fail_to_serve(begin: Callable[..., tuple[Instance, int]]) -> Callable[..., str]:
    """Start a server that is to end by itself; what it said."""

    def start(enforcement: str = "kernel") -> str:
        instance, ready = begin(enforcement)
        os.close(ready)
        process: Process = instance.process
        assert 1 == process.wait(20)
        return instance.said()

    return start


@pytest.fixture
def store(enforcer: FakeEnforcer, serve: Serve) -> Iterator[fdstorefs.Store]:
    """A connection to an instance that the enforcer guards."""
    with fdstorefs.connect(serve().mount) as store:
        yield store


@pytest.fixture
def some_file() -> Iterator[int]:
    """A descriptor of a file of no importance."""
    descriptor = os.memfd_create("some")
    yield descriptor
    os.close(descriptor)
