"""Fixtures for tests of the pure store."""

from collections.abc import Callable

import pytest

from fdstorefs.core.access import Check, Checked, mode_bits
from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from tests.unit.core.people import Clock, Files, Person


@pytest.fixture
def files() -> Files:
    """A maker of open files."""
    return Files()


@pytest.fixture
def make_store() -> Callable[..., Store]:
    """Makes a store owned by uid 0."""

    def make(mode: int = 0o1777, authority: Check = mode_bits, **limits: int) -> Store:
        return Store(
            uid=0, gid=0, clock=Clock(), mode=mode, limits=Limits(**limits), authority=Checked(authority)
        )

    return make


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    """A store with a sticky, world-writable root box."""
    return make_store()


@pytest.fixture
def ada() -> Person:
    """An ordinary user."""
    return Person(1000, 1000)


@pytest.fixture
def bob() -> Person:
    """Another ordinary user."""
    return Person(1001, 1001)
