"""Attack 10: read or change the kernel's tables, or take its programs out of force."""

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from fdstorefs.bpf import syscall
from fdstorefs.bpf.guarded import LINKED, MAP, PROGRAM
from fdstorefs.enforcer.options import PINS
from tests.kernel import reaching
from tests.kernel.actor import Actor
from tests.kernel.attackers import Scene, by_each
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.kernel_tables import Map
from tests.kernel.people import ALICE

CAPABILITIES = {"CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 4, 8
_VERSION_3 = 0x2008_0522
_LIBC = ctypes.CDLL(None, use_errno=True)
_OPENERS: dict[int, Callable[[int], int]] = {
    MAP: syscall.map_by_number,
    PROGRAM: syscall.program_by_number,
    LINKED: syscall.link_by_number,
}


def become_administrator(uid: int) -> int:
    """Become a user who has what it takes to use BPF, but is not root; the capabilities that one has then."""
    _LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups(())
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    wanted = sum(1 << bit for bit in CAPABILITIES.values())
    low, high = wanted & 0xFFFF_FFFF, wanted >> 32
    header = struct.pack("=Ii", _VERSION_3, 0)
    if _LIBC.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)) < 0:
        raise OSError(ctypes.get_errno(), "capset")
    return syscall.effective_capabilities()


def open_by_number(kind: int, numbers: list[int]) -> list[int]:
    """The errnos that one meets when one opens objects by their numbers; 0: it worked."""
    return sorted({_errno_of(_OPENERS[kind], number) for number in numbers})


def open_pins(paths: list[str]) -> list[int]:
    """The same by their names, and of taking these names away."""
    found = {_errno_of(syscall.obj_get, path) for path in paths}
    return sorted(found | {_errno_of(_unlink, path) for path in paths})


def _unlink(path: str) -> int:
    os.unlink(path)
    return -1


def _errno_of(attempt: Callable[..., int], what: int | str) -> int:
    try:
        fd = attempt(what)
    except OSError as error:
        return error.errno or -1
    if fd >= 0:
        os.close(fd)
    return 0


def ours() -> dict[int, list[int]]:
    """The enforcement's objects: their numbers by kind."""
    with Map.shared("guarded") as guarded:
        keys = [int.from_bytes(key, "little") for key, _ in guarded.items()]
    return {kind: [key & 0xFFFF_FFFF for key in keys if key >> 32 == kind] for kind in _OPENERS}


def pins() -> list[str]:
    """All that is pinned."""
    return [str(path) for path in Path(PINS).rglob("*") if not path.is_dir()]


@pytest.fixture
def administrator(actor: Callable[..., Actor]) -> Actor:
    """Not root, and with all capabilities that the kernel itself asks for."""
    who = actor()
    assert sum(1 << bit for bit in CAPABILITIES.values()) == who.call(become_administrator, ALICE.uid)
    return who


@by_each
def test_out_of_reach(scene: Scene) -> None:
    """By number or by name, for those whom the kernel itself keeps from BPF; root of the host gets them."""
    pinned = pins()
    for kind, numbers in ours().items():
        assert numbers
        assert [errno.EPERM] == scene.attacker.call(open_by_number, kind, numbers)
        assert [0] == open_by_number(kind, numbers)
    assert [errno.EACCES] == scene.attacker.call(open_pins, pinned)
    assert pinned == pins()
    scene.require_service_gets_it()


@pytest.mark.parametrize("kind", [MAP, PROGRAM, LINKED], ids=["maps", "programs", "links"])
def test_to_whom_the_kernel_allows_bpf(
    kind: int, administrator: Actor, actor: Callable[..., Actor], enforcer: EnforcerProcess
) -> None:
    """He gets everybody's but ours, and each that he tries to get is on record."""
    log, numbers = enforcer.log(), ours()[kind]

    assert [errno.EPERM] == administrator.call(open_by_number, kind, numbers)
    for number in numbers:
        found = log.denial(administrator.pid, action="use-bpf", target=number)
        assert ("own-object", ALICE.uid) == (found["reason"], found["subject"]["uid"])


def test_his_own_are_his(administrator: Actor) -> None:
    """What somebody with these capabilities makes himself he can open by its number."""
    assert [0] == administrator.call(open_own)


def open_own() -> list[int]:
    """Make a map, and open it once more by its number."""
    fd = syscall.map_create(syscall.MapSpec(syscall.MapType.ARRAY, "own", 4, 8, 1))
    try:
        return open_by_number(MAP, [syscall.map_info(fd).number])
    finally:
        os.close(fd)


def test_out_of_the_enforcer(administrator: Actor, enforcer: EnforcerProcess) -> None:
    """Nor does he get them from the process that has them open."""
    log = enforcer.log()

    assert [errno.EPERM] == administrator.call(reaching.copy_all, enforcer.pid)
    found = log.denial(administrator.pid, action="reach-into", target=enforcer.pid)
    assert ("protected", ALICE.uid) == (found["reason"], found["subject"]["uid"])
    assert [0] == administrator.call(open_own)
