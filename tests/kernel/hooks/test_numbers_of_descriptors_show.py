"""Not prevented: the kernel asks nobody before it lists which descriptors a process has. SECURITY.md says so."""

import os
import stat
from collections.abc import Callable

import pytest

from fdstorefs.bpf.abi import RoleKind
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.instance import Instance
from tests.kernel.people import ALICE


def test_to_the_same_user(actor: Callable[..., Actor], instance: Instance) -> None:
    """The numbers do, and how they are open; where one leads, what it is about and the file itself don't."""
    server, alice = actor(ALICE), actor(ALICE)
    instance.give_role(server.pid, RoleKind.SERVER)
    number = server.call(acts.memfd)
    place = f"/proc/{server.pid}"

    assert str(number) in alice.call(acts.listed, f"{place}/fd")
    assert stat.S_IRUSR | stat.S_IWUSR == alice.call(os.lstat, f"{place}/fd/{number}")[0] & 0o600
    with pytest.raises(PermissionError):
        alice.call(os.readlink, f"{place}/fd/{number}")
    with pytest.raises(PermissionError):
        alice.call(acts.opened, f"{place}/fd/{number}", os.O_RDONLY)
    with pytest.raises(PermissionError):
        alice.call(acts.opened, f"{place}/fdinfo/{number}", os.O_RDONLY)
