"""Maps, programs and links of the enforcement are the enforcer's, and root's of the host."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.bpf import syscall
from fdstorefs.bpf.abi import Hook, Reason
from fdstorefs.bpf.kernel import Kernel
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.conftest import PINS
from tests.kernel.people import MALLORY

Start = Callable[..., Actor]


def numbers() -> dict[str, int]:
    """One object of each kind."""
    found = {}
    link = syscall.obj_get(str(next(Path(PINS, "v1").glob("programs-*/link-*"))))
    found["link"], found["program"] = syscall.link_number(link), syscall.link_program(link)
    tags = syscall.obj_get(f"{PINS}/v1/maps/tags")
    found["map"] = syscall.map_info(tags).number
    for fd in (link, tags):
        os.close(fd)
    return found


@pytest.mark.parametrize("kind", ["map", "program", "link"])
def test_somebody_with_all_capabilities(kind: str, actor: Start, kernel: Kernel) -> None:
    """But another user than root: refused, which is on record."""
    number, mallory = numbers()[kind], actor()
    mallory.call(acts.become_with_capabilities, MALLORY.uid)
    kernel.ring.read()
    with pytest.raises(PermissionError):
        mallory.call(acts.get_by_number, kind, number)
    (event,) = kernel.ring.read()

    assert (Hook.BPF_USED, Reason.OWN_OBJECT, MALLORY.uid, number) == (
        event.hook,
        event.reason,
        event.uid,
        event.target,
    )


@pytest.mark.parametrize("kind", ["map", "program", "link"])
def test_root(kind: str, actor: Start, kernel: Kernel) -> None:
    """Of the host may have them: the next enforcer is that, before it has its role."""
    actor().call(acts.get_by_number, kind, numbers()[kind])
