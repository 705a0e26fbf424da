"""What the tests of the enforcer share."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.enforcer.instance import Instance
from tests.unit.enforcer.enforced import Enforced
from tests.unit.enforcer.fake_kernel import FakeKernel
from tests.unit.enforcer.relatives import Relative

OTHER = 4242


@pytest.fixture
def make_deep() -> Iterator[Callable[[Path, str, int], None]]:
    """Makes directories, each in the one before and called the same, deeper than a path can say; and removes them."""
    made: list[tuple[Path, str, int]] = []

    def make(top: Path, name: str, depth: int) -> None:
        made.append((top, name, depth))
        at = os.open(top, os.O_PATH)
        for _ in range(depth):
            os.mkdir(name, dir_fd=at)
            at = _inside(at, name)
        os.close(at)

    yield make
    for top, name, depth in made:
        for level in reversed(range(depth)):
            at = os.open(top, os.O_PATH)
            for _ in range(level):
                at = _inside(at, name)
            os.rmdir(name, dir_fd=at)
            os.close(at)


def _inside(at: int, name: str) -> int:
    below = os.open(name, os.O_PATH, dir_fd=at)
    os.close(at)
    return below


@pytest.fixture
def kernel() -> FakeKernel:
    """A kernel in which nothing is in force yet."""
    return FakeKernel()


@pytest.fixture
def enforced(kernel: FakeKernel) -> Iterator[Enforced]:
    """A policy in force, in the fake kernel, for no instance yet."""
    made = Enforced(kernel)
    yield made
    made.close()


@pytest.fixture
def instance(enforced: Enforced) -> Instance:
    """An instance of this process."""
    return enforced.admit()


@pytest.fixture
def relative() -> Iterator[Relative]:
    """A child."""
    made = Relative()
    yield made
    made.end()


@pytest.fixture
def as_other(tmp_path: Path) -> Callable[[Callable[[], object]], object]:
    """Calls a function in a process of another user; what it returns goes through JSON."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it becomes another user")
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)

    def call(function: Callable[[], object]) -> object:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.setresgid(OTHER, OTHER, OTHER)
            os.setresuid(OTHER, OTHER, OTHER)
            try:
                os.write(writer, json.dumps(function()).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as told:
            text = told.read()
        os.waitpid(child, 0)
        return json.loads(text)

    return call
