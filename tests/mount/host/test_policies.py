"""The service's policies are in force in each container's instance, with the container's ids."""

import os
import shutil
from collections.abc import Callable

from tests.mount.cast import REPOSITORY, Cast
from tests.mount.host.container import Container
from tests.mount.host.service import Service

EVERYTHING = REPOSITORY / "examples" / "policies" / "everything.yaml"
NOTHING = "version: 1\nname: nothing\nrules:\n  - {id: nothing, effect: forbid, actions: [stash]}\n"
EACCES = 13


def policy_file(cast: Cast) -> str:
    """A policy that is root's, which the container's root may read and not write."""
    path = os.path.join(cast.home(None), "policy.yaml")
    shutil.copy(EVERYTHING, path)
    os.chmod(path, 0o644)
    return path


def test_one_of_roots_is_in_force(
    service: Callable[..., Service], container: Callable[..., Container], cast: Cast
) -> None:
    """Though the server is not root of the host, and the container has a user with the number that root looks like."""
    inside = container()
    service(arguments=["--policy", policy_file(cast)]).start(inside)
    inside.stash("kept", "a word")
    inside.run("os.seteuid(1000)")

    # Without a policy it would not exist for another user.
    assert ["kept"] == inside.entries()


def test_a_change_of_it_is_followed(
    service: Callable[..., Service],
    container: Callable[..., Container],
    cast: Cast,
    wait_for: Callable[..., None],
) -> None:
    """In the instances that there are."""
    inside, path = container(), policy_file(cast)
    service(arguments=["--policy", path]).start(inside)
    inside.stash("kept", "a word")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NOTHING)
    stash = (
        "fd = os.memfd_create('kept')\n"
        "with open('/run/fdstore/more', 'w') as entry: entry.write(str(fd))\n"
        "os.remove('/run/fdstore/more')"
    )

    wait_for(lambda: EACCES == inside.errno_of(stash), what="the change")
