"""Fixtures for tests under a real systemd: in a virtual machine that has booted it (`tools/vm --systemd`).

- `enforcer`: the host's enforcer, started by its unit; `enforcer.unit` is that unit
- `actor`, `make_cgroup`: those of tests/kernel
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fdstorefs.bpf.kernel import switch_off
from fdstorefs.enforcer.options import PINS, POLICIES
from tests.kernel import cgroups, policies
from tests.kernel.actor import Actor
from tests.kernel.conftest import (  # noqa: F401 - pytest finds fixtures by their names here
    SECONDS,
    actor,
    fork_server,
    make_cgroup,
    patience,
)
from tests.kernel.conftest import in_the_machine as in_a_machine  # noqa: F401
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE
from tests.kernel.policies import ATTACKED, ELSEWHERE, SERVICE
from tests.mount.cast import REPOSITORY
from tests.mount.policies import write
from tests.systemd.unit import Unit
from tools.reachable import open_the_way

HERE = Path(__file__).parent
SYSTEMD = Path("/run/systemd/system")
START_SECONDS = 600
"""What an emulated machine takes to compile; the unit's own limit is for real ones."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this directory the time that an emulated machine takes."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session", autouse=True)
def in_the_machine(in_a_machine: None) -> None:  # noqa: F811
    """Refuse to run anywhere but where systemd is process 1 of such a machine."""
    if not SYSTEMD.is_dir():
        pytest.fail(
            "systemd isn't process 1 here: `tools/vm --systemd 6.12 .venv/bin/python -m pytest tests/systemd`",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def own_mounts(in_the_machine: None) -> None:
    """What units mount is to be seen, so the tests stay in systemd's mount namespace."""
    open_the_way(REPOSITORY)


@pytest.fixture(scope="session")
def installed(own_mounts: None) -> None:
    """The command and the units where a package would put them."""
    programs = Path("/usr/local/bin")
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "fdstorefs").symlink_to(REPOSITORY / ".venv/bin/fdstorefs")
    for name in ("fdstorefs-enforcer.service", "fdstorefs@.service"):
        Path("/etc/systemd/system", name).symlink_to(REPOSITORY / "systemd" / name)
    Path(POLICIES).mkdir(parents=True)
    write(Path(POLICIES) / "asks-for-everything.yaml", policies.ASKS_FOR_EVERYTHING)
    write(Path(POLICIES) / "only-the-service.yaml", policies.ONLY_THE_SERVICE)


@pytest.fixture(scope="session")
def unit(installed: None) -> Iterator[Unit]:
    """The enforcer's unit, started as an administrator starts it."""
    found = Unit("fdstorefs-enforcer.service")
    # The clone may be below /tmp, where the unit has a directory of its own.
    found.add(f"[Service]\nTimeoutStartSec={START_SECONDS}\nBindReadOnlyPaths={REPOSITORY}\n")
    found.systemctl("enable")
    try:
        found.start()
        yield found
    finally:
        found.systemctl("stop")
        switch_off(PINS)


@pytest.fixture
def started(unit: Unit) -> Unit:
    """The same, running, whatever the test before did to it."""
    if unit.says("ActiveState") != "active":
        unit.start()
    return unit


@pytest.fixture(scope="session")
def control_groups(in_the_machine: None) -> Iterator[dict[str, Path]]:
    """The one that is allowed, and one that isn't; below the root, beside systemd's own."""
    made = {name: cgroups.make(name) for name in (SERVICE, ELSEWHERE)}
    yield made
    for path in made.values():
        cgroups.remove(path)


@pytest.fixture
def instance(started: Unit, actor: Callable[..., Actor], tmp_path: Path) -> Iterator[GuardedInstance]:  # noqa: F811
    """Alice's, who has left it to the kernel who gets what."""
    options = ("--policy", write(Path("/run") / "mode-bits-decide.yaml", policies.MODE_BITS_DECIDE))
    with ExitStack() as stack:
        made = GuardedInstance(
            actor(ALICE), Path(ATTACKED) / tmp_path.name, compromised=False, options=options
        )
        stack.callback(made.end)
        yield made
