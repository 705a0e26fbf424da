"""A store to talk to, and a watch on our own descriptors."""

import gc
import os
from collections.abc import Callable, Iterator

import pytest

import fdstorefs
from tests.mount.instance import Instance

Start = Callable[..., Instance]


@pytest.fixture
def instance(running_instance: Start) -> Instance:
    """A fresh instance."""
    return running_instance()


@pytest.fixture
def store(instance: Instance) -> Iterator[fdstorefs.Store]:
    """A connection to it."""
    with fdstorefs.connect(instance.mount) as store:
        yield store


def open_descriptors() -> set[int]:
    """The descriptors that this process has open."""
    listed = os.listdir("/proc/self/fd")
    return {number for number in map(int, listed) if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:  # the one that listed them
        return False
    return True


@pytest.fixture
def no_leak() -> Iterator[None]:
    """Fails a test that leaves descriptors open."""
    # What former tests have left to be collected must not be closed meanwhile: the number would be used again.
    gc.collect()
    before = open_descriptors()
    yield
    assert before == open_descriptors()
