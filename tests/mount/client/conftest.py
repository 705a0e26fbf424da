"""A store to talk to, and a watch on our own descriptors."""

import gc
from collections.abc import Callable, Iterator

import pytest

import fdstorefs
from tests.mount.instance import Instance
from tests.mount.open_files import open_files

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


@pytest.fixture
def no_leak() -> Iterator[None]:
    """Fails a test that leaves descriptors open."""
    # What former tests have left to be collected must not be closed meanwhile: the number would be used again.
    gc.collect()
    before = open_files()
    yield
    assert before == open_files()
