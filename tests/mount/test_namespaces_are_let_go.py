"""A user namespace is held for what was stashed from it, and no longer, whatever is remembered of it."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance
from tests.mount.policies import arguments, write
from tests.mount.waiting import wait_for

POLICY = """\
version: 1
name: own
rules:
  - {id: own, effect: allow, actions: [all], stasher: {uid: same, userns: same}}
  - {id: root, effect: allow, actions: [all], subject: {uid: [0]}}
"""

STASHED = """
import sys
import fdstorefs
with fdstorefs.connect(sys.argv[1]) as store:
    store.stash("left", 0)
    store.retrieve("left").close()
"""


def held(instance: Instance) -> int:
    """How many user namespaces the server has open."""
    directory, found = f"/proc/{instance.pid}/fd", 0
    for fd in os.listdir(directory):
        with suppress(FileNotFoundError):  # it has been closed meanwhile
            found += os.readlink(f"{directory}/{fd}").startswith("user:")
    return found


def test_none_is_held_when_its_entries_are_gone(
    running_instance: Callable[..., Instance], cast: Cast
) -> None:
    """Its processes have ended, there are records in the log, and others go on asking."""
    if os.geteuid() != 0:
        pytest.skip("one user's entries and another's requests take root")
    directory = Path(cast.directory(None, "policies-"))
    policy = write(directory / "p.yaml", POLICY)
    instance = running_instance(
        arguments=[*arguments(policy), "--audit", f"file:{directory / 'audit.jsonl'}"]
    )
    for way in (os.path.dirname(instance.mount), instance.mount):
        os.chmod(way, 0o777)
    ran = instance.run(
        ["unshare", "-U", sys.executable, "-c", STASHED, instance.mount],
        user=ORDINARY_USER,
        env={**os.environ},
    )
    assert (0, "") == (ran.returncode, ran.stderr)
    while_there = held(instance)
    with fdstorefs.connect(instance.mount) as store:
        store.discard("left")
        store.stash("other", 0)
        store.retrieve("other").close()

    wait_for(lambda: held(instance) == 0, 5, "the namespace to be let go")
    assert 1 == while_there
