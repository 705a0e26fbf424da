"""What the tests of the enforcer share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


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
