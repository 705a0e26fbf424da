"""The stage is what the tests of the examples take it for."""

import os
from pathlib import Path

import pytest

from tests.mount.example_policies.stage import Stage

STATUS = "dict(line.split(':', 1) for line in open('/proc/self/status'))"


def status(stage: Stage, key: str, *who: str, **how: object) -> str:
    """A line of the status of an actor."""
    said = stage.actor(*who, **how).ask(f"{STATUS}[{key!r}].strip()")  # type: ignore[arg-type]  # as actor takes them
    return str(said)


def test_a_cgroup_is_called_as_on_a_host(stage: Stage) -> None:
    """Whoever is in a service is seen there, from inside; outside it is below a cgroup of ours."""
    actor = stage.actor("www-data", "/system.slice/nginx.service")
    inside = actor.ask("open('/proc/self/cgroup').read().splitlines()[-1]")
    outside = Path(f"/proc/{actor.pid}/cgroup").read_text().splitlines()[-1]

    assert "0::/system.slice/nginx.service" == inside
    assert outside.endswith("/inside/system.slice/nginx.service")
    assert outside.count("/") > inside.count("/")


def test_users_are_themselves(stage: Stage) -> None:
    """With one group, and none of root's power; in a user namespace that isn't the host's."""
    assert ["33"] * 4 == status(stage, "Uid", "www-data").split()
    assert ["33"] * 4 == status(stage, "Gid", "www-data").split()
    assert "" == status(stage, "Groups", "www-data")
    assert 0 == int(status(stage, "CapEff", "www-data"), 16)
    assert os.readlink("/proc/self/ns/user") != stage.actor().ask("os.readlink('/proc/self/ns/user')")


@pytest.mark.parametrize("name", ["net_bind_service", "sys_admin"])
def test_a_user_has_the_capability_that_it_is_given(stage: Stage, name: str) -> None:
    """That one, and no other."""
    numbers = {"net_bind_service": 10, "sys_admin": 21}

    assert 1 << numbers[name] == int(status(stage, "CapEff", "www-data", can=(name,)), 16)


def test_each_container_is_a_user_namespace_of_its_own(stage: Stage) -> None:
    """Of the same user."""
    actors = [stage.actor(1000), *(stage.actor(1000, container=name) for name in ("one", "two"))]

    assert 3 == len({actor.ask("os.readlink('/proc/self/ns/user')") for actor in actors})
    assert [1000] * 3 == [actor.ask("os.getuid()") for actor in actors]
