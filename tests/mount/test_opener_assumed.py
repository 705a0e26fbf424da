"""`opener-unknown: assume-stasher`: where only the kernel knows who opened a file, who stashed it counts instead."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.cast import Cast
from tests.mount.instance import Instance
from tests.mount.policies import arguments, write

Start = Callable[..., Instance]
COMMAND = (sys.executable, "-m", "fdstorefs")

POLICY = """\
version: 1
name: assumed
{assumption}
rules:
  - {{id: everybody, effect: allow, actions: [all]}}
  - id: nobody-borrows-power
    effect: forbid
    actions: [retrieve, take]
    filesystems: [proc]
    unless: {{opener: {{capabilities: no-more-than-subject, userns: same-or-below}}}}
"""
ASSUMED = "opener-unknown: assume-stasher"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="stashes as root and as others")


@pytest.fixture
def start(running_instance: Start, cast: Cast) -> Callable[[str], Instance]:
    """Start an instance with or without the assumption; all users may reach it."""

    def start(assumption: str) -> Instance:
        directory = Path(cast.directory(None, "policies-"))
        directory.chmod(0o755)
        directory.parent.chmod(0o755)
        path = write(directory / "policy.yaml", POLICY.format(assumption=assumption))
        log = f"file:{directory}/audit.jsonl"
        instance = running_instance(arguments=[*arguments(path), "--audit", log])
        os.chmod(os.path.dirname(instance.mount), 0o711)
        return instance

    return start


def got(instance: Instance, name: str, user: str | None) -> int:
    """The exit code of a retrieval."""
    return instance.run([*COMMAND, "--at", instance.mount, "exec", name, "--", "true"], user=user).returncode


def stash_as(instance: Instance, name: str, user: str | None) -> None:
    """Stash a file of /proc, for everybody."""
    put = [*COMMAND, "--at", instance.mount, "put", name]
    done = instance.run(["sh", "-c", f"exec {' '.join(put)} </proc/self/status"], user=user)
    assert done.returncode == 0, done.stderr
    with fdstorefs.connect(instance.mount) as store:
        assert store.describe(name).entry.kind == "regular"
    os.chmod(f"{instance.mount}/{name}", 0o644)


def test_what_a_stasher_with_more_power_stashed_is_kept_from_others(start: Callable[[str], Instance]) -> None:
    """root has capabilities that an ordinary user has not; what root stashed root retrieves."""
    instance = start(ASSUMED)
    stash_as(instance, "status", None)

    assert (0, 3) == (got(instance, "status", None), got(instance, "status", "daemon"))


def test_the_log_says_who_was_taken_for_the_opener(start: Callable[[str], Instance], cast: Cast) -> None:
    """And that it was only assumed."""
    instance = start(ASSUMED)
    stash_as(instance, "status", None)
    got(instance, "status", "daemon")
    instance.stop()
    (log,) = Path(cast.home(None)).glob("policies-*/audit.jsonl")
    (denied,) = [record for record in map(json.loads, log.open()) if record.get("verdict") == "deny"]

    assert ["nobody-borrows-power"] == denied["rules"]
    assert (0, True) == (denied["opener"]["uid"], denied["opener"]["assumed"])


def test_what_a_stasher_without_power_stashed_lends_none(start: Callable[[str], Instance]) -> None:
    """Neither to another ordinary user nor to root."""
    instance = start(ASSUMED)
    stash_as(instance, "status", "daemon")

    assert (0, 0) == (got(instance, "status", "www-data"), got(instance, "status", None))


def test_without_the_assumption_nobody_gets_it(start: Callable[[str], Instance]) -> None:
    """The opener is unknown, and unknown is never permission: not even for who stashed it."""
    instance = start("")
    stash_as(instance, "status", "daemon")

    assert (3, 3) == (got(instance, "status", "daemon"), got(instance, "status", None))
