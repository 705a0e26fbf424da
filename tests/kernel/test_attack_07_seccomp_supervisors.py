"""Attack 7: have a supervisor that has the descriptor put it into the attacker's table (seccomp, ADDFD)."""

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel import seccomp
from tests.kernel.actor import Actor, Obedient
from tests.kernel.attackers import NAME, SECRET, Scene, by_each
from tests.kernel.people import ALICE
from tests.kernel.policies import SERVICE


def put_by(supervisor: Obedient, receiver: Obedient) -> str:
    """What the receiver reads from what is put into it. Raises OSError, which the supervisor has got as well."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiver.call(seccomp.be_supervised, descriptors=(ours.fileno(),))
        receiver.begin(seccomp.call_supervisor)
        try:
            supervisor.call(seccomp.put_into_caller, NAME, descriptors=(theirs.fileno(),))
        finally:
            text = receiver.outcome()
    return str(text)


@by_each
def test_it_is_not_put_there(
    scene: Scene, actor: Callable[..., Actor], control_groups: dict[str, Path]
) -> None:
    """Neither the supervisor nor the attacker get anywhere; into somebody who may have it, it is put."""
    with pytest.raises(PermissionError) as refusal:
        put_by(scene.holder, scene.attacker)

    assert errno.EACCES == refusal.value.errno
    scene.require_refused()
    assert SECRET == put_by(scene.holder, actor(ALICE, cgroup=control_groups[SERVICE]))
