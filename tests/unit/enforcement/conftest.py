"""Fixtures: three users of a store that asks policies."""

import pytest

from tests.unit.enforcement.governed import ADA, BOB, EVE, User


@pytest.fixture
def ada() -> User:
    """A user."""
    return User(ADA)


@pytest.fixture
def bob() -> User:
    """Another."""
    return User(BOB)


@pytest.fixture
def eve() -> User:
    """And a third."""
    return User(EVE)
