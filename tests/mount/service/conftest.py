"""A stand-in for systemd, and a mount for its unit."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fdstorefs.server.mounting import unmount
from tests.mount.cast import Cast, mounted_below
from tests.mount.service.systemd_stand_in import Make, Manager


@pytest.fixture
def mount(cast: Cast) -> Iterator[str]:
    """Where the unit serves; nothing is left mounted there."""
    path = cast.directory(None, "fdstore-")
    yield path
    for left in mounted_below(path):
        unmount(left, lazy=True)


@pytest.fixture
def make_manager(cast: Cast, mount: str) -> Iterator[Make]:
    """Make one that manages a unit of its own."""
    with ExitStack() as stack:

        def make(**told: Any) -> Manager:
            made = Manager(cast.directory(None, "run-"), cast, **told)
            stack.callback(made.end)
            return made

        yield make


@pytest.fixture
def manager(make_manager: Make) -> Manager:
    """One that keeps a hundred descriptors."""
    return make_manager()
