"""Attack 11: ask while policies are reloaded a thousand times: there is never a moment with neither.

A reload is one flip of the kernel to another generation. Here the enforcer's own way to do it (bpf/kernel.py) does
a thousand in a row, with two generations that the product has made of two policies, and none is over before everybody
has asked in it. The rest of a reload, which takes long in an emulated machine, is done a few times, once with other
programs.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from fdstorefs.bpf.abi import Key, Reason, Row, Table, unpack_row
from fdstorefs.bpf.kernel import Kernel
from fdstorefs.enforcer.options import PINS
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import EVERYBODY, NAME, Attacker, Scene
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.kernel_tables import Map
from tests.kernel.looking import looking
from tests.kernel.people import ALICE
from tests.kernel.policies import ELSEWHERE, SERVICE
from tests.mount.waiting import wait_for

DIRECTORY, POLICY = "/run/reloading", "reloaded"
FLIPS, RELOADS = 1000, 10
PAUSE, SELDOM = 20, 200
"""Milliseconds between two looks; seldom while programs are compiled, which takes long enough when emulated."""
SECONDS = 60
HEAD = f"""\
version: 1
name: {POLICY}
instances: {DIRECTORY}/*
rules:
  - {{id: all-may-look-here, effect: allow, actions: [list, describe]}}
"""
BY_GROUP = f"""{HEAD}\
  - {{id: the-service, effect: allow, actions: [all], subject: {{cgroup: /{SERVICE}}}}}
"""
BUT_FOR = f"""{HEAD}\
  - {{id: everybody, effect: allow, actions: [all]}}
  - {{id: not-elsewhere, effect: forbid, actions: [retrieve, take], subject: {{cgroup: /{ELSEWHERE}}}}}
"""
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
)
"""By their numbers in the kernel."""

Rows = list[tuple[Key, Row]]


@pytest.fixture
def scene_of(enforcer: EnforcerProcess, new_scene: Callable[..., Scene]) -> Iterator[Callable[..., Scene]]:
    """Scenes with a policy of their own."""
    enforcer.put(POLICY, BY_GROUP)
    yield partial(new_scene, directory=DIRECTORY)
    enforcer.remove(POLICY)


def rows_in_force() -> Rows:
    """The generation in force."""
    with Map.rows() as rows:
        return [(Key.unpack(key), unpack_row(value)) for key, value in rows.items()]


def publish(kernel: Kernel, rows: Rows, generation: int) -> None:
    """Put rows in force as a generation, whichever they were."""
    numbered = [(key, (row[0], generation) if key.table == Table.SET else row) for key, row in rows]
    kernel.publish(numbered, generation)


def resign(kernel: Kernel) -> None:
    """Be the enforcer no longer: this process goes on with other tests."""
    pidfd = os.pidfd_open(os.getpid())
    kernel.clear_role(pidfd)
    os.close(pidfd)


def refusals(kernel: Kernel, generation: int, attackers: set[int]) -> set[Reason]:
    """Why a generation refuses the file to the attackers, by their pids; waits until it has refused it to all."""
    reasons: dict[int, Reason] = {}

    def everybody_has_asked() -> bool:
        for event in kernel.ring.read():
            if event.generation == generation and not event.allowed:
                reasons[event.tgid] = Reason(event.reason)
        return reasons.keys() >= attackers

    wait_for(everybody_has_asked, SECONDS, "everybody to ask")
    return {reasons[pid] for pid in attackers}


def test_a_thousand_generations(
    scene_of: Callable[..., Scene],
    enforcer: EnforcerProcess,
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
) -> None:
    """Whoever looks all the time never gets it, and somebody else who looks all the time always does."""
    scenes = [scene_of(kind) for kind in EVERYBODY]
    attackers = {each.attacker.pid for each in scenes}
    colleague = actor(ALICE, cgroup=control_groups[SERVICE])
    by_group = rows_in_force()
    last = enforcer.put(POLICY, BUT_FOR)
    but_for = rows_in_force()
    reasons = []
    enforcer.stop()
    try:
        with ExitStack() as stack:
            kernel = stack.enter_context(Kernel.open(PINS))
            stack.callback(resign, kernel)
            # The next enforcer is to find what the last one left, or it has programs made.
            stack.callback(publish, kernel, but_for, last)
            pairs = [(each.holder, each.attacker) for each in scenes]
            denied = [stack.enter_context(looking(*pair, NAME, pause=PAUSE)) for pair in pairs]
            allowed = stack.enter_context(looking(scenes[0].holder, colleague, NAME, pause=PAUSE))
            for number in range(FLIPS):
                generation = kernel.numbers.next_generation()
                publish(kernel, (by_group, but_for)[number % 2], generation)
                reasons.append(refusals(kernel, generation, attackers))
    finally:
        enforcer.start()

    assert [{Reason.BY_NO_RULE}, {Reason.BY_FORBID}] * (FLIPS // 2) == reasons
    assert [0, 0, 0] == [each.arrived for each in denied]
    assert (allowed.looks, True) == (allowed.arrived, allowed.looks > 0)


def programs() -> tuple[Path, int]:
    """The programs in force, and the capabilities that they can tell apart, as a mask."""
    (version,) = Path(PINS, "v1").glob("programs-*")
    return version, int(os.readlink(version / "about").split(" ")[2])


def test_the_whole_way(
    scene_of: Callable[..., Scene],
    enforcer: EnforcerProcess,
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
) -> None:
    """The same with the enforcer's own reloads, and with one for which it loads other programs."""
    scene = scene_of(Attacker.SAME_UID)
    colleague = actor(ALICE, cgroup=control_groups[SERVICE])
    before, known = programs()
    new = next(name for number, name in enumerate(CAPABILITIES) if not known >> number & 1)
    asking = f"  - {{id: asks-more, effect: allow, actions: [take], subject: {{capabilities: [{new}]}}}}\n"
    with (
        looking(scene.holder, scene.attacker, NAME, pause=SELDOM) as denied,
        looking(scene.holder, colleague, NAME, pause=SELDOM) as allowed,
    ):
        texts = [*((BUT_FOR, BY_GROUP) * (RELOADS // 2)), BUT_FOR + asking]
        generations = [enforcer.put(POLICY, text) for text in texts]

    assert sorted(set(generations)) == generations
    assert before != programs()[0]
    assert (0, allowed.looks) == (denied.arrived, allowed.arrived)
    assert denied.looks > RELOADS
    assert ["not-elsewhere"] == scene.denial(action="retrieve", reason="forbidden")["rules"]
