"""A file that root opened, in the hands of a user: what the review of FDBox asked about, from end to end.

The kernel asks for the credentials of whoever opened a `cgroup.procs`, not of whoever writes to it. So who is given
one that root opened moves processes as root. Here root has stashed one, with a mode that lets everybody have it.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.mount.cast import REPOSITORY, environment
from tests.mount.example_policies.scene import EXAMPLES, Scene, scene
from tests.mount.example_policies.stage import Role, Stage, new_stage

USER = 1000
HOME, GOAL = "/user.slice", "/system.slice/payroll.service"
RULE = "nobody-borrows-power"
POLICIES = ("60-no-control-files.yaml", "everything.yaml")

Perform = Callable[..., Scene]
Completed = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Users and cgroups."""
    with new_stage() as stage:
        yield stage


@pytest.fixture
def perform(stage: Stage) -> Iterator[Perform]:
    """Serve by some examples; root has stashed the `cgroup.procs` of another cgroup than the user's."""
    with ExitStack() as stack:

        def begin(*policies: str) -> Scene:
            begun = stack.enter_context(scene(stage, *policies))
            stage.cgroup(GOAL)
            begun.role().prepares("stash", "procs", f"{stage.cgroups_inside}{GOAL}/cgroup.procs")
            return begun

        yield begin


@pytest.fixture
def user(stage: Stage) -> Callable[[Scene], Role]:
    """An ordinary user's process, in a cgroup of its own; a new one for each test, as it may move."""
    actor = stage.new_actor(USER, HOME)
    return lambda scene: Role(actor, scene.mount)


def cgroup_of(role: Role) -> object:
    """Where the kernel says that a process is, seen from the stage."""
    return role.actor.ask("open('/proc/self/cgroup').read().splitlines()[-1].removeprefix('0::')")


def command(*words: str) -> Completed:
    """Run the command line."""
    argv = [sys.executable, "-m", "fdstorefs", *words]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY, env=environment()
    )


@pytest.fixture
def denial(perform: Perform, user: Callable[[Scene], Role]) -> tuple[Scene, dict[str, Any], Role]:
    """A denied retrieval through the socket, as it is on record."""
    scene = perform(*POLICIES)
    role = user(scene)
    role("socket", "retrieve", "procs")
    (record,) = scene.denials(role.actor.pid)
    return scene, record, role


def test_without_a_policy_it_does_not_exist(perform: Perform, user: Callable[[Scene], Role]) -> None:
    """By default an entry is its stasher's alone; the record says that `others-may-do-nothing`."""
    scene = perform()
    role = user(scene)

    assert ["ENOENT", "ENOENT"] == [role(door, "retrieve", "procs") for door in ("socket", "mount")]
    assert [[], []] == [role(door, "names") for door in ("socket", "mount")]
    assert {("others-may-do-nothing",)} == {
        tuple(record["rules"])
        for record in scene.denials(role.actor.pid)
        if record["entry"]["name"] == "procs"
    }


def test_where_all_else_is_allowed_it_is_denied(perform: Perform, user: Callable[[Scene], Role]) -> None:
    """At both doors, with the rule in the error, and so is every other way to it; the process has not moved."""
    scene = perform(*POLICIES)
    role = user(scene)

    assert ["EACCES", "EACCES"] == [role(door, "retrieve", "procs") for door in ("socket", "mount")]
    assert f"forbidden by `{RULE}`" == role("socket", "why_not", "retrieve", "procs")
    assert "EACCES" == role("socket", "link", "procs", "harmless")
    assert "EACCES" == role("socket", "write", "procs", "0")
    assert HOME == cgroup_of(role)


def test_the_record_says_who_wanted_what_and_why_not(denial: tuple[Scene, dict[str, Any], Role]) -> None:
    """In the audit log: the rule, the subject as the kernel knows it, and what the entry is."""
    _, record, role = denial
    comm = Path(f"/proc/{role.actor.pid}/comm").read_text().strip()
    subject, entry = record["subject"], record["entry"]

    assert ("retrieve", "deny", "forbidden", [RULE]) == tuple(
        record[key] for key in ("action", "verdict", "reason", "rules")
    )
    assert (USER, role.actor.pid, comm, HOME) == tuple(
        subject[key] for key in ("uid", "pid", "comm", "cgroup")
    )
    assert ("procs", "regular", "cgroup2", "w") == tuple(
        entry[key] for key in ("name", "kind", "filesystem", "access")
    )
    assert 0 == entry["stasher"]["uid"]


def test_explain_says_the_same_and_what_would_have_to_hold(
    denial: tuple[Scene, dict[str, Any], Role],
) -> None:
    """Asked with the facts of the record, `fdstorefs policy explain` names the rule and what it would take."""
    _, record, _ = denial
    entry, subject = record["entry"], record["subject"]
    facts = {
        "action": record["action"],
        "entry": entry["name"],
        "kind": entry["kind"],
        "filesystem": entry["filesystem"],
        "access": entry["access"],
        "uid": subject["uid"],
        "cgroup": subject["cgroup"],
        "stasher-uid": entry["stasher"]["uid"],
    }
    options = [f"--{key}={value}" for key, value in facts.items()]
    done = command("policy", "explain", *(str(EXAMPLES / policy) for policy in POLICIES), *options)
    verdict, _, wanted = done.stdout.partition("to be allowed:")

    assert (3, "") == (done.returncode, done.stderr)
    assert verdict.startswith(f"deny: forbidden by rule `{RULE}`\n")
    assert "opener.capabilities is unknown" in verdict
    for word in (f"`{RULE}`", "opener.capabilities", "known", "opener.userns"):
        assert word in wanted


def test_the_record_is_found(denial: tuple[Scene, dict[str, Any], Role]) -> None:
    """`fdstorefs audit query --rule` shows it to people and to programs."""
    scene, record, role = denial
    shown = command("audit", "query", "--rule", RULE, str(scene.log))
    found = json.loads(command("audit", "query", "--rule", RULE, "--json", str(scene.log)).stdout)

    assert 1 == len(shown.stdout.splitlines())
    for word in (
        "deny",
        "retrieve",
        "procs (regular)",
        f"[{role.actor.pid}] uid {USER}",
        f"forbidden: {RULE}",
    ):
        assert word in shown.stdout
    assert [record] == found


def test_the_danger_is_real(perform: Perform, user: Callable[[Scene], Role]) -> None:
    """Where mode bits alone decide, the user gets it and moves itself into a cgroup that it has no right to.

    By itself it could not: opening that `cgroup.procs` is refused to it. What it may do with the one from the store
    is what root may do. The mount alone lends nobody the server's rights (EPERM): the descriptor carries root's.
    """
    scene = perform("everything.yaml")
    role = user(scene)
    path = f"{scene.stage.cgroups_inside}{GOAL}/cgroup.procs"

    assert role.actor.ask(f"os.access({path!r}, os.W_OK)") is False
    assert "EPERM" == role("mount", "retrieve", "procs")
    assert HOME == cgroup_of(role)
    assert "done" == role("socket", "write", "procs", "0")
    assert GOAL == cgroup_of(role)
