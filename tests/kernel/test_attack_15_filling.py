"""Attack 15: fill what the kernel keeps its notes in, and what the enforcer does."""

import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from fdstorefs import connect
from fdstorefs.enforcer.options import SOCKET
from fdstorefs.enforcer.registry import PER_UID
from fdstorefs.host import syscalls
from fdstorefs.host.recursion import FILESYSTEM
from fdstorefs.server.guarding.finding import find
from fdstorefs.server.guarding.line import Refusal
from tests.kernel import attempts
from tests.kernel.attackers import NAME, SECRET, Attacker, Scene
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.handing import handed
from tests.kernel.kernel_tables import Map, take_records
from tests.kernel.looking import looking
from tests.kernel.people import ALICE, BOB
from tests.mount.waiting import wait_for

MORE = "one more"
SECONDS = 200
MOST_CPUS = 1024
"""That a kernel may think possible, each with a count of its own."""
TAKEN = 3000
"""Of the more than 3300 records that there is room for."""


def names_in(mount: str) -> list[str]:
    """What is stored."""
    with connect(mount) as store:
        return [entry.name for entry in store.list()]


# The tags


def test_no_room_for_tags(scenes: list[Scene]) -> None:
    """What the kernel cannot note is not stored, and said; what it has noted is decided as before."""
    with Map.shared("tags") as tags, tags.full():
        for scene in scenes:
            with pytest.raises(PermissionError, match="did not let the instance receive"):
                scene.service.call(attempts.stash, scene.mount, MORE, SECRET)
            answer = scene.attacker.call(attempts.ask, scene.mount, NAME, attempts.NO_FLAGS)
            scene.require_service_gets_it()
            stored = scene.service.call(names_in, scene.mount)

            assert ([NAME], []) == (stored, answer["texts"])

    for scene in scenes:
        scene.require_refused()
        found = scene.log.denial(scene.server.pid, action="stash")
        assert ("no-room", scene.mount) == (found["reason"], found["instance"])
        scene.service.call(attempts.stash, scene.mount, MORE, SECRET)
        assert [] == handed(scene.service, scene.attacker, MORE)[0]["texts"]


# The ring


def lost() -> int:
    """How many of the kernel's records have found no room."""
    with Map.shared("lost") as counts:
        value = counts.value(bytes(4), 8 * MOST_CPUS)
    return sum(int.from_bytes(value[at : at + 8], "little") for at in range(0, len(value), 8))


def test_no_room_for_records(scenes: list[Scene], enforcer: EnforcerProcess) -> None:
    """Verdicts are what they were, and what could not be recorded is counted. The enforcer is held up meanwhile."""
    before, begin = lost(), enforcer.audit.stat().st_size
    os.kill(enforcer.pid, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            pairs = [(each.holder, each.attacker) for each in scenes]
            seen = [stack.enter_context(looking(*pair, NAME, pause=0)) for pair in pairs]
            wait_for(lambda: lost() > before, SECONDS, "the ring to be full")
        asked = [each.attacker.call(attempts.ask, each.mount, NAME, attempts.NO_FLAGS) for each in scenes]
        for scene in scenes:
            scene.require_service_gets_it()
        # The rest is enough to see that they are told; all of them take the enforcer a minute.
        taken = take_records(TAKEN)
    finally:
        os.kill(enforcer.pid, signal.SIGCONT)

    assert [(0, True)] * len(scenes) == [(each.arrived, each.looks > 0) for each in seen]
    assert [[]] * len(scenes) == [each["texts"] for each in asked]
    assert (TAKEN, {False}) == (len(taken), {each.allowed for each in taken})
    wait_for(lambda: tells_of_loss(enforcer.audit, begin), SECONDS, "a record of the loss")
    assert enforcer.status().lost >= lost() > before
    for scene in scenes:
        scene.require_refused()


def tells_of_loss(audit: Path, begin: int) -> bool:
    """Whether the log says that some are missing."""
    return re.search(rb'"lost_before": ?[1-9]', audit.read_bytes()[begin:]) is not None


# Registrations

_ends: list[socket.socket] = []


def register_many(most: int) -> list[str]:
    """Have many processes each register a mount of its own, in turn, until one is refused; what came of each."""
    directory = tempfile.mkdtemp()
    outcomes: list[str] = []
    while len(outcomes) < most and set(outcomes) <= {"registered"}:
        outcomes.append(_register_one(f"{directory}/{len(outcomes)}"))
    return outcomes


def _register_one(mount: str) -> str:
    """A process that registers, and lives until our end of its line is closed."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        # Whatever happens, it must not go on as the process that it is a copy of.
        try:
            outcome = _claimed(mount)
        except Exception as error:  # noqa: BLE001 - the test is told
            outcome = repr(error)
        with suppress(OSError):
            theirs.send(outcome.encode())
            theirs.recv(1)
        os._exit(0)
    theirs.close()
    _ends.append(ours)
    return ours.recv(100).decode()


def _claimed(mount: str) -> str:
    os.mkdir(mount)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    syscalls.mount("fdstorefs", mount, FILESYSTEM, 0, f"fd={fuse},rootmode=40000,user_id=0,group_id=0")
    root = os.open(mount, os.O_PATH | os.O_DIRECTORY)
    line = find(SOCKET)
    try:
        line.call("Register", {"mount": mount, "mountDescriptor": 0, "previous": None}, [root], patience=60)
    except Refusal as error:
        return error.identifier
    return "registered"


def let_go() -> None:
    """End all who have registered."""
    # A child has copies of the ends of those before it: all have to be closed before the first can be waited for.
    for end in _ends:
        end.close()
    for _ in _ends:
        os.wait()


@pytest.mark.parametrize("kind", [Attacker.ROOT_IN_NAMESPACE], ids=[Attacker.ROOT_IN_NAMESPACE.value])
def test_no_room_for_instances(
    scene: Scene, enforcer: EnforcerProcess, instance: Callable[..., GuardedInstance]
) -> None:
    """Whoever uses up what a user may have keeps his own from coming, not others'; who is there stays guarded."""
    outcomes = scene.attacker.call(register_many, PER_UID + 1)

    assert (["registered"] * (len(outcomes) - 1), "QuotaExceeded") == (outcomes[:-1], outcomes[-1])
    with pytest.raises(AssertionError, match=f"uid {ALICE.uid} has {PER_UID} instances registered"):
        instance(ALICE)
    instance(BOB)
    assert [] == handed(scene.service, scene.attacker, NAME)[0]["texts"]
    scene.require_refused()
    scene.require_service_gets_it()
    scene.attacker.call(let_go)
    # What has ended counts until the enforcer has looked for tags of it.
    wait_for(lambda: len(enforcer.status().instances) < PER_UID, SECONDS, "the instances to be forgotten")
