"""The stage that all examples share, instances on it that serve by them, and the two doors."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.mount.example_policies.scene import Scene, scene
from tests.mount.example_policies.stage import Stage, new_stage

Perform = Callable[..., Scene]


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Users, cgroups and their processes."""
    with new_stage() as stage:
        yield stage


@pytest.fixture
def perform(stage: Stage) -> Iterator[Perform]:
    """Serve by examples; the instance ends with the test."""
    with ExitStack() as stack:
        yield lambda *policies, beside="": stack.enter_context(scene(stage, *policies, beside=beside))


@pytest.fixture(params=["socket", "mount"])
def door(request: pytest.FixtureRequest) -> str:
    """The socket, then the mount."""
    found: str = request.param
    return found
