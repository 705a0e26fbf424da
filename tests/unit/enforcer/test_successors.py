"""A server gives its instance to a process that the keeper has started, and to nobody else."""

import os

import pytest

from fdstorefs.bpf.abi import Role, RoleKind
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.instance import Instance
from fdstorefs.errors import NotPermitted
from tests.unit.enforcer.enforced import Enforced
from tests.unit.enforcer.fake_kernel import FakeKernel
from tests.unit.enforcer.relatives import Relative


def test_who_has_the_keepers_role_can_be_one(
    enforced: Enforced, instance: Instance, relative: Relative
) -> None:
    """It is the instance's server from then on, and the former one what a keeper is."""
    enforced.kernel.roles[relative.pid] = Role(RoleKind.KEEPER, instance.number)
    number = instance.number

    enforced.registry.succeed(instance, relative.look(), os.dup(relative.pidfd))

    assert (relative.pid, number, False) == (instance.pid, instance.number, instance.has_ended)
    assert Role(RoleKind.SERVER, number) == enforced.kernel.roles[relative.pid]
    assert Role(RoleKind.KEEPER, number) == enforced.kernel.roles[os.getpid()]


@pytest.mark.parametrize("kind", [None, RoleKind.SERVER])
def test_nobody_else_can(
    enforced: Enforced, instance: Instance, relative: Relative, kind: RoleKind | None
) -> None:
    """Not even a child of the server: what that is given it could give to anybody."""
    if kind is not None:
        enforced.kernel.roles[relative.pid] = Role(kind, instance.number)

    with pytest.raises(NotPermitted):
        enforced.registry.succeed(instance, relative.look(), relative.pidfd)
    assert os.getpid() == instance.pid


def test_nor_the_keeper_itself(enforced: Enforced, instance: Instance, relative: Relative) -> None:
    """It starts the next server when this one dies."""
    enforced.registry.protect(instance, relative.look(), relative.pidfd)

    with pytest.raises(NotPermitted):
        enforced.registry.succeed(instance, relative.look(), relative.pidfd)


class Trouble:
    """Of a kernel that cannot do one thing once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kernel: FakeKernel, what: str) -> None:
        self._countdown = 2 if what == "the former server's role" else 1
        name = "put_instance" if what == "the record" else "set_role"
        self._done = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, self)

    def __call__(self, *arguments: object) -> None:
        """Do it, unless it is the one time."""
        self._countdown -= 1
        if not self._countdown:
            raise KernelError("update", "cannot", where="here", why="broken", hint="mend it")
        self._done(*arguments)


@pytest.mark.parametrize("what", ["the successor's role", "the record", "the former server's role"])
def test_half_a_succession_is_taken_back(
    enforced: Enforced, instance: Instance, relative: Relative, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The former server is what it was, and the successor is as little as before."""
    kernel, number, server = enforced.kernel, instance.number, instance.pid
    kernel.roles[relative.pid] = Role(RoleKind.KEEPER, number)
    record = kernel.known_instances[number]
    Trouble(monkeypatch, kernel, what)

    with pytest.raises(KernelError):
        enforced.registry.succeed(instance, relative.look(), relative.pidfd)
    assert (server, record) == (instance.pid, kernel.known_instances[number])
    assert Role(RoleKind.SERVER, number) == kernel.roles[server]
    assert Role(RoleKind.KEEPER, number) == kernel.roles[relative.pid]
