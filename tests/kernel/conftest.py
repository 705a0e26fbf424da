"""Fixtures for tests in a virtual machine with a kernel that runs BPF LSM programs.

- `make_cgroup(name)`: a control group below the root, as a path; emptied and removed after the test
- `actor(who=None, cgroup=None, groups=(), namespace=False, joins=None)`: a process with that user (a Person, a uid,
  or None for root) in that control group, as root of a user namespace of its own if asked, or in the user and
  mount namespaces of the process that it `joins`; `actor(...).call(function, ...)` has it call a function of the
  test's module and returns the result through JSON
- those of tests/mount: `running_instance`, `as_user`, `cast`, `home`, `user_namespace`, `wait_for`

Of tests/kernel/people.py ALICE, BOB and MALLORY have names as well as numbers here; any number will do as a user.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel import cgroups, machine, people
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import (  # noqa: F401 - as those of tests/mount below
    child,
    control_groups,
    enforcer,
    instance,
    new_scene,
    scene,
    scenes,
    siege,
)
from tests.kernel.fork_server import ForkServer
from tests.kernel.people import Person
from tests.kernel.role import Role
from tests.mount.conftest import (  # noqa: F401 - pytest finds fixtures by their names here
    as_user,
    cast,
    home,
    own_mounts,
    running_instance,
    user_namespace,
    wait_for,
)

# emulated processors are ten times slower, and two machines may share the host's
SECONDS = 900
START_SECONDS = STOP_SECONDS = 200
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this directory the time that an emulated machine takes."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session", autouse=True)
def in_the_machine() -> None:
    """Refuse to run anywhere else; `pytest --collect-only` works everywhere."""
    reason = machine.why_not()
    if reason is not None:
        pytest.fail(reason, pytrace=False)
    people.make_known()


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Let instances take longer to start and to stop than they may elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.mount.conftest.START_SECONDS", START_SECONDS)
        patch.setattr("tests.mount.instance.STOP_SECONDS", STOP_SECONDS)
        patch.setattr("tests.mount.cast.STOP_SECONDS", STOP_SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def fork_server(in_the_machine: None, own_mounts: None) -> Iterator[ForkServer]:  # noqa: F811
    """What actors are forked by: started before any test has opened anything."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def make_cgroup() -> Iterator[Callable[[str], Path]]:
    """Control groups that end with the test."""
    with ExitStack() as stack:

        def make(name: str) -> Path:
            path = cgroups.make(name)
            stack.callback(cgroups.remove, cgroups.ROOT / Path(name).parts[0])
            return path

        yield make


@pytest.fixture
def actor(fork_server: ForkServer, make_cgroup: Callable[[str], Path]) -> Iterator[Callable[..., Actor]]:
    """Processes with roles; they end with the test, and before the control groups do."""
    with ExitStack() as stack:

        def start(
            who: Person | int | None = None,
            *,
            cgroup: Path | None = None,
            groups: tuple[int, ...] = (),
            namespace: bool = False,
            joins: int | None = None,
        ) -> Actor:
            uid = who.uid if isinstance(who, Person) else who or 0
            started = Actor(fork_server, Role(uid, None, groups, cgroup, namespace, joins))
            stack.callback(started.end)
            return started

        yield start
