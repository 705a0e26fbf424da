"""`fdstorefs instances`: all there are, wherever they are mounted, for those who may see them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.mount.cast import ORDINARY_USER, Cast, Process
from tests.mount.cli.conftest import COMMAND
from tests.mount.instance import Instance

Start = Callable[..., Instance]
Record = dict[str, Any]

ANOTHER_USER = "games"


class Survey:
    """What `fdstorefs instances --json` tells somebody, by mount."""

    def __init__(self, process: Process) -> None:
        out, self.said = process.communicate(timeout=60)
        assert process.returncode == 0, self.said
        told = json.loads(out)
        self.instances: dict[str, Record] = {each["mount"]: each for each in told["instances"]}
        self.unasked: dict[str, Record] = {each["mount"]: each for each in told["unasked"]}


@pytest.fixture
def survey(cast: Cast) -> Callable[..., Survey]:
    """Have a user look; None is whoever runs the tests."""
    return lambda user=None: Survey(cast.start(cast.command([*COMMAND, "instances", "--json"], user)))


def stash(instance: Instance, *names: str) -> None:
    """Stash something there under some names."""
    for name in names:
        done = instance.run([*COMMAND, "--at", instance.mount, "put", name, "0"])
        assert done.returncode == 0, done.stderr


def test_one_is_listed_with_what_it_is(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """Who runs it, which processes those are, how much there is and who decides."""
    instance = running_instance(arguments=["--enforcement", "daemon"])
    stash(instance, "a", "b")

    found = survey().instances[instance.mount]

    told = {name: found[name] for name in ("owner", "server", "keeper", "entries", "enforcement", "policy")}
    assert told == {
        "owner": os.geteuid(),
        "server": instance.pid,
        "keeper": instance.process.pid,
        "entries": 2,
        "enforcement": "daemon",
        "policy": "default",
    }
    assert found["namespace"]["own"]


def test_its_memory_is_that_of_its_processes(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """Server, keeper and the keeper's spare, each more than nothing, and all of them together."""
    instance = running_instance(arguments=["--enforcement", "daemon"])

    memory = survey().instances[instance.mount]["memory"]

    parts = [memory[name] for name in ("server", "keeper", "spare")]
    assert all(part > 100_000 for part in parts)
    assert sum(parts) == memory["total"]


def test_one_without_a_keeper_has_none(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """Then its memory is the server's."""
    instance = running_instance(arguments=["--no-keeper"])

    found = survey().instances[instance.mount]

    assert (found["keeper"], found["memory"]["keeper"]) == (None, None)
    assert found["memory"]["server"] == found["memory"]["total"] > 100_000


def test_one_in_a_namespace_is_asked_from_outside(
    running_instance: Start, survey: Callable[..., Survey]
) -> None:
    """Neither its mount nor its user namespace is ours."""
    instance = running_instance(user=ORDINARY_USER, namespace=True)
    stash(instance, "a")

    found = survey().instances[instance.mount]

    assert (found["entries"], found["server"]) == (1, instance.pid)
    assert not found["namespace"]["own"]


def test_the_owner_of_one_in_a_namespace_is_named_as_outside(
    running_instance: Start, survey: Callable[..., Survey]
) -> None:
    """Who is root inside is nobody's root outside."""
    instance = running_instance(user=ORDINARY_USER, namespace=True, map_root=True)

    found = survey().instances[instance.mount]

    assert found["owner"] == os.stat(f"/proc/{instance.pid}").st_uid != 0


def test_one_that_is_its_owners_alone_is_listed_for_root(
    running_instance: Start, survey: Callable[..., Survey]
) -> None:
    """A mount that lets nobody but its owner in."""
    if os.geteuid() != 0:
        pytest.skip("only root sees what is others'")
    instance = running_instance(user=ORDINARY_USER)

    assert instance.pid == survey().instances[instance.mount]["server"]


def test_a_user_sees_his_own(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """Also in a namespace that he has made."""
    instance = running_instance(user=ORDINARY_USER, namespace=True)

    found = survey(ORDINARY_USER).instances[instance.mount]

    assert instance.pid == found["server"]


def test_a_user_sees_nothing_of_anothers_namespace(
    running_instance: Start, survey: Callable[..., Survey]
) -> None:
    """Not even that there is one."""
    if os.geteuid() != 0:
        pytest.skip("only root starts an instance as another user")
    instance = running_instance(user=ANOTHER_USER, namespace=True)

    seen = survey(ORDINARY_USER)

    assert instance.mount not in seen.instances | seen.unasked


def test_a_user_does_not_see_what_roots_processes_weigh(
    running_instance: Start, survey: Callable[..., Survey], cast: Cast
) -> None:
    """An instance that everybody may use is listed, and what only its owner may know is left out."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts for everybody")
    instance = running_instance()
    os.chmod(cast.home(None), 0o711)

    found = survey(ORDINARY_USER).instances[instance.mount]

    assert found["server"] == instance.pid
    assert found["memory"]["total"] is None


def test_one_that_does_not_answer_is_told_of(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """And holds up nobody: the others are listed."""
    stopped, instance = running_instance(), running_instance()
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        seen = survey()
    finally:
        os.kill(stopped.pid, signal.SIGCONT)

    assert "it does not answer within 2 seconds" == seen.unasked[stopped.mount]["why"]
    assert instance.mount in seen.instances


def test_a_dead_mount_is_told_of(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """Somebody should take it away."""
    instance = running_instance()
    instance.stop(signal.SIGKILL)

    why = survey().unasked[instance.mount]["why"]

    assert "its server has ended and left the mount behind" == why


def test_what_another_mount_covers_is_told_of(running_instance: Start, survey: Callable[..., Survey]) -> None:
    """Nobody gets there, so nothing else is asked in its place."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount over it")
    instance = running_instance()
    subprocess.run(["mount", "-t", "tmpfs", "none", instance.mount], check=True)
    try:
        why = survey().unasked[instance.mount]["why"]
    finally:
        subprocess.run(["umount", instance.mount], check=True)

    assert "something else is mounted over it" == why


def test_people_read_a_table(running_instance: Start, cast: Cast) -> None:
    """A line for each, under a header."""
    instance = running_instance(arguments=["--enforcement", "daemon"])
    stash(instance, "a")

    out, _ = cast.start([*COMMAND, "instances"]).communicate(timeout=60)

    header, *lines = out.splitlines()
    line = next(line for line in lines if line.startswith(f"{instance.mount} "))
    columns = dict(zip(header.split(), line.split(), strict=False))
    assert {"NAMESPACE": "-", "ENTRIES": "1", "KEEPER": str(instance.process.pid)}.items() <= columns.items()


def test_people_are_told_what_could_not_be_asked(running_instance: Start, cast: Cast) -> None:
    """After the list, on standard error."""
    instance = running_instance()
    instance.stop(signal.SIGKILL)

    _, said = cast.start([*COMMAND, "instances"]).communicate(timeout=60)

    assert "could not be asked:" in said
    assert f"  {instance.mount}: its server has ended and left the mount behind" in said.splitlines()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], ("", "fdstorefs: no instance is to be seen\n")), (["--json"], ([], ""))],
)
def test_no_instance_at_all(cast: Cast, arguments: list[str], expected: tuple[Any, str]) -> None:
    """No failure: there is nothing to list."""
    alone = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--"]
    hidden = [
        "sh",
        "-c",
        f"umount --all --types fuse.fdstorefs; exec {sys.executable} -m fdstorefs instances $@",
        "sh",
    ]
    process = cast.start(cast.command([*alone, *hidden, *arguments], ORDINARY_USER))
    out, said = process.communicate(timeout=60)

    assert process.returncode == 0
    assert expected == (json.loads(out)["instances"] if arguments else out, said)
