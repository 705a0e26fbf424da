"""Attack 16: have the enforcer believe that a file was discarded, and hand on a copy of it."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from fdstorefs import connect
from fdstorefs.enforcer.options import SOCKET
from fdstorefs.server.guarding.finding import find
from tests.kernel import attempts
from tests.kernel.attackers import NAME, SECRET, Attacker, Scene, by_each
from tests.kernel.handing import handed
from tests.kernel.people import BOB


def keep_copy(name: str) -> None:
    """For a server: have a further copy of what it keeps."""
    attempts._held[name] = os.dup(attempts.own_number(name))


def say_so(mount: str, name: str) -> None:
    """For a server: release what it goes on holding."""
    _tell(mount, name, "Release", {"descriptor": 0, "inodes": []})


def say_that_it_has_no_name(mount: str, name: str) -> None:
    """For a server: the same in other words."""
    _tell(mount, name, "Guard", {"files": [{"descriptor": 0, "names": []}]})


def say_that_it_is_anothers(mount: str, name: str) -> None:
    """For a server: the only one who stashed it may not speak for who opened it."""
    stasher = {"uid": BOB.uid, "gid": BOB.uid, "capabilities": 0, "userns": None}
    named = {"path": name, "inode": 1 << 40, "label": None, "stasher": stasher}
    _tell(mount, name, "Guard", {"files": [{"descriptor": 0, "names": [named]}]})


def _tell(mount: str, name: str, method: str, parameters: dict[str, Any]) -> None:
    root = os.open(mount, os.O_PATH | os.O_DIRECTORY)
    line = find(SOCKET)
    line.call("Register", {"mount": mount, "mountDescriptor": 0, "previous": None}, [root], patience=60)
    line.call(method, parameters, [attempts.own_number(name)], patience=60)
    line.close()
    os.close(root)


def discard(mount: str, name: str) -> None:
    """Have it stored no longer."""
    with connect(mount) as store:
        store.discard(name)


def require_kept_from_him(scene: Scene) -> None:
    """It doesn't arrive, and the kernel has a record; where it is allowed to go it does."""
    (arrived,) = handed(scene.holder, scene.attacker, NAME)

    assert ([], True) == (arrived["texts"], arrived["truncated"])
    scene.require_refused()
    assert [SECRET] == handed(scene.holder, scene.service, NAME)[0]["texts"]


@pytest.mark.parametrize("say", [say_so, say_that_it_has_no_name, say_that_it_is_anothers])
def test_it_stays_guarded(new_scene: Callable[..., Scene], say: Callable[..., None]) -> None:
    """Nothing that a server says of a file that was classified makes it anybody's."""
    scene = new_scene(Attacker.COMPROMISED_SERVER)

    scene.server.inside.call(say, scene.mount, NAME)

    require_kept_from_him(scene)


@by_each
def test_nor_is_what_was_discarded_anybodys(scene: Scene) -> None:
    """Who has a copy of it has one that is guarded."""
    if scene.server.compromised:
        scene.server.inside.call(keep_copy, NAME)

    scene.service.call(discard, scene.mount, NAME)

    require_kept_from_him(scene)
