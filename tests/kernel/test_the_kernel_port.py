"""What the enforcer is told of the kernel is so, and what it puts there stays: with the smallest programs (port.c)."""

import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fdstorefs.bpf import abi, pins, syscall
from fdstorefs.bpf.abi import (
    Chain,
    ClassRecord,
    ClassSet,
    EntryKey,
    InstanceRecord,
    Key,
    Person,
    Range,
    Role,
    Row,
    Slot,
    Tag,
)
from fdstorefs.bpf.guarded import LINKED, MAP, PROGRAM
from fdstorefs.bpf.kernel import Kernel, switch_off
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.pins import Pinned
from fdstorefs.bpf.profile import Profile
from fdstorefs.bpf.programs import OWN_MAPS

PINS = "/sys/fs/bpf/fdstorefs-port"
PORT = Path(__file__).parent / "port.c"
HOOKS = ("file_fcntl", "file_free_security", "file_receive")
NARROW = Profile(1, abi.USES_ALL, 5, True)
WIDE = Profile(2, abi.USES_UID, 0, False)
NEEDED: tuple[Key, Row] = (Key(1, 1, 1), (1, 2))
SIZES = {"events": 4096}


def opened() -> Kernel:
    """What is pinned, taken over."""
    return Kernel.open(PINS, sizes=SIZES)


def enforce(kernel: Kernel, profile: Profile, *, lockdown: bool = False) -> None:
    """Load, publish and attach."""
    kernel.load(profile, lockdown=lockdown, source=PORT)
    kernel.publish([NEEDED], kernel.numbers.next_generation())
    kernel.attach()


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Nothing is pinned after these tests."""
    yield
    switch_off(PINS)


@pytest.fixture
def enforcing() -> None:
    """Programs in force: those of the test before, if it left them."""
    with opened() as kernel:
        if not kernel.attached:
            enforce(kernel, NARROW, lockdown=True)


@pytest.fixture
def kernel(enforcing: None) -> Iterator[Kernel]:
    """The kernel side, with programs in force."""
    with opened() as kernel:
        yield kernel


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Another directory of pins, with nothing in it."""
    path = f"{PINS}-elsewhere"
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


@contextmanager
def open_file() -> Iterator[int]:
    """An open file that nothing knows of."""
    fd = os.memfd_create("port")
    try:
        yield fd
    finally:
        os.close(fd)


def is_delivered(fd: int) -> bool:
    """Whether an open file comes through a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(ours, [b"x"], [fd])
        received = socket.recv_fds(theirs, 1, 1)[1]
    for copy in received:
        os.close(copy)
    return bool(received)


def code_of(call: Callable[[], object]) -> str:
    """With which code it fails."""
    with pytest.raises(KernelError) as raised:
        call()
    return raised.value.code


def test_nothing_yet(elsewhere: str) -> None:
    """A new directory has maps, and nothing in force; and each step wants the one before."""
    with Kernel.open(elsewhere) as kernel, open_file() as fd:
        state = (kernel.attached, kernel.generation, kernel.profile, kernel.lockdown, pins.pinned(elsewhere))
        codes = [
            code_of(call)
            for call in (
                lambda: kernel.publish([NEEDED], 1),
                lambda: kernel.add_rows([NEEDED]),
                kernel.attach,
                lambda: kernel.tag(fd, 1, 1),
                lambda: kernel.untag(fd, 1),
            )
        ]

    assert ((), 0, None, False, None) == state
    assert ["not-loaded", "not-loaded", "not-loaded", "not-attached", "not-attached"] == codes


def test_what_is_in_force(kernel: Kernel) -> None:
    """Programs, what they were compiled for, and the generation are known to whoever opens it next."""
    assert (HOOKS, NARROW, True) == (kernel.attached, kernel.profile, kernel.lockdown)
    assert Pinned(abi.ABI, True, HOOKS, kernel.generation, True) == pins.pinned(PINS)


def test_look(kernel: Kernel) -> None:
    """The programs say who opened a file, and their record comes through the ring."""
    kernel.ring.read()
    with open_file() as fd:
        answer = kernel.look(fd, 0)
    readable, _, _ = select.select([kernel.ring], [], [], 10)
    (event,) = kernel.ring.read()

    assert Person(uid=0, capabilities=syscall.effective_capabilities(), known=abi.KNOWS_UID) == answer.opener
    assert ([kernel.ring], os.getpid(), 5 << 64) == (readable, event.tgid, event.terms)


def test_tag(kernel: Kernel) -> None:
    """A tag keeps a file from being delivered, and goes with the file."""
    with open_file() as fd:
        before = is_delivered(fd)
        kernel.tag(fd, 3, 77)
        after = is_delivered(fd)
        tagged = list(kernel.tagged())

    assert (True, False, [Tag((Slot(3, 77),))], []) == (before, after, tagged, list(kernel.tagged()))


def test_enforcement_goes_on_alone(enforcing: None) -> None:
    """When nobody has it open, programs and tags stay."""
    with open_file() as fd:
        with opened() as kernel:
            kernel.tag(fd, 3, 77)

        assert not is_delivered(fd)
        with opened() as kernel:
            assert [Tag((Slot(3, 77),))] == list(kernel.tagged())


def test_generations_are_flipped_whole(kernel: Kernel) -> None:
    """Whoever asks while generations replace each other always finds one, never none and never half of one."""
    failures: list[OSError] = []
    done = threading.Event()

    def ask() -> None:
        with open_file() as fd:
            while not done.is_set():
                try:
                    syscall.set_descriptor_flags(fd, abi.TOKEN << 32 | abi.LOOK)
                except OSError as error:
                    failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    generations = []
    try:
        for _ in range(50):
            number = kernel.numbers.next_generation()
            kernel.publish([*((Key(2, 1, other), (0, 0)) for other in range(20)), NEEDED], number)
            generations.append(kernel.generation == number)
    finally:
        done.set()
        asking.join()

    assert ([], {True}) == (failures, set(generations))


def test_rows_come_and_go(kernel: Kernel) -> None:
    """In the generation in force: without the row that the programs want they refuse, and with it again not."""
    with open_file() as fd:
        kernel.remove_rows([NEEDED[0], Key(9, 9, 9)])
        with pytest.raises(FileNotFoundError):
            kernel.look(fd, 0)
        kernel.add_rows([NEEDED])

        assert abi.KNOWS_UID == kernel.look(fd, 0).opener.known


def test_no_more_room_for_rows(kernel: Kernel) -> None:
    """A generation that is full says so, and a new one has room again."""
    many = [(Key(5, 1, number), (0, 0)) for number in range(5000)]

    assert "rows-full" == code_of(lambda: kernel.add_rows(many))
    kernel.publish([NEEDED, *many], kernel.numbers.next_generation())
    kernel.add_rows(many)


def test_a_full_ring(kernel: Kernel) -> None:
    """What finds no room is counted, and once it has been read there is room again."""
    before = kernel.lost()
    kernel.ring.read()
    with open_file() as fd:
        for _ in range(30):
            kernel.look(fd, 0)
        read = len(kernel.ring.read())
        lost = kernel.lost() - before
        kernel.look(fd, 0)

    assert (30, True, 1) == (read + lost, lost > 0, len(kernel.ring.read()))


def numbers_of_links() -> set[int]:
    """The links that are pinned, by number."""
    numbers = set()
    for path in Path(PINS, "v1").glob("programs-*/link-*"):
        fd = syscall.obj_get(str(path))
        numbers.add(syscall.link_number(fd))
        os.close(fd)
    return numbers


def guarded(kernel: Kernel, kind: int) -> set[int]:
    """Our own objects of a kind, as the programs have them."""
    spec_fd = syscall.obj_get(f"{PINS}/v1/maps/guarded")
    keys = [int.from_bytes(key, "little") for key in syscall.keys(spec_fd, 8)]
    os.close(spec_fd)
    return {key & 0xFFFF_FFFF for key in keys if key >> 32 == kind}


def test_our_own_objects_are_listed(kernel: Kernel) -> None:
    """Every link, the program in each, every map that is pinned, the programs' own, and the rows in force."""
    maps = len(list(Path(PINS, "v1").glob("maps/*")))

    assert numbers_of_links() == guarded(kernel, LINKED)
    assert len(HOOKS) == len(guarded(kernel, PROGRAM))
    assert maps + len(OWN_MAPS) + 1 == len(guarded(kernel, MAP))


def test_settings(kernel: Kernel) -> None:
    """One does not change the other."""
    kernel.set_record_allowed(True)
    first = kernel.lockdown
    kernel.set_record_allowed(False)

    assert (True, True) == (first, kernel.lockdown)


def test_roles(kernel: Kernel) -> None:
    """A process has a role until it is taken or the process ends; the enforcer's own is there from the start."""
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    pidfd, own = os.pidfd_open(child.pid), os.pidfd_open(os.getpid())
    kernel.set_role(pidfd, abi.RoleKind.SERVER, 4)
    with_role = kernel.role(pidfd)
    kernel.clear_role(pidfd)
    without = kernel.role(pidfd)
    kernel.set_role(pidfd, abi.RoleKind.KEEPER, 4)
    child.communicate()
    ended = kernel.role(pidfd)
    kernel.clear_role(pidfd)

    assert (Role(abi.RoleKind.SERVER, 4), None, None) == (with_role, without, ended)
    assert Role(abi.RoleKind.ENFORCER, 0) == kernel.role(own)
    os.close(pidfd)
    os.close(own)


def test_records(kernel: Kernel) -> None:
    """Instances, mounts, entries, classes and class sets are kept until they are removed."""
    instance = InstanceRecord(1, 2, 3, 4, 5, 6, 7, (Range(0, 10),), (), Chain((8, 9)), (0, 1))
    record = ClassRecord(1, Person(1), Person(2), Chain((3,)), Chain(()))
    kernel.put_instance(1, instance)
    kernel.put_mount(44, 1)
    kernel.put_entry(44, 1 << 63, abi.UNGUARDED)
    kernel.put_class(5, record)
    kernel.put_class_set(6, ClassSet(1, (5,)))
    there = [
        kernel.instances(),
        kernel.mounts(),
        dict(kernel.entries()),
        dict(kernel.classes()),
        dict(kernel.class_sets()),
    ]
    kernel.remove_instance(1)
    kernel.remove_mount(44)
    kernel.remove_entry(44, 1 << 63)
    kernel.remove_class(5)
    kernel.remove_class_set(6)
    gone = [
        kernel.instances(),
        kernel.mounts(),
        *map(list, (kernel.entries(), kernel.classes(), kernel.class_sets())),
    ]

    assert [
        {1: instance},
        {44: 1},
        {EntryKey(44, 1 << 63): abi.UNGUARDED},
        {5: record},
        {6: ClassSet(1, (5,))},
    ] == there
    assert [{}, {}, [], [], []] == gone


def test_numbers_are_given_once(enforcing: None) -> None:
    """Also by the next enforcer."""
    given = []
    for _ in range(3):
        with opened() as kernel:
            given += [kernel.numbers.next_instance(), kernel.numbers.next_instance()]

    assert sorted(set(given)) == given


def test_one_at_a_time(kernel: Kernel) -> None:
    """A second enforcer is refused, and so is switching off under the first."""
    assert ["in-use", "in-use"] == [code_of(opened), code_of(lambda: switch_off(PINS))]


def test_maps_of_others(enforcing: None) -> None:
    """A map that is not what we would make is not taken over."""
    assert "map-mismatch" == code_of(lambda: Kernel.open(PINS, sizes={**SIZES, "tags": 5}))


def test_another_abi(elsewhere: str) -> None:
    """Where programs of another version are in force there is nothing to be done beside them."""
    Path(elsewhere, "v99", "programs-1").mkdir(parents=True, mode=0o700)

    assert "other-abi" == code_of(lambda: Kernel.open(elsewhere))
    assert Pinned(99, False, (), None, None) == pins.pinned(elsewhere)


def test_a_directory_of_somebody_else(elsewhere: str) -> None:
    """Directories of pins that others may enter, or own, are refused."""
    Path(elsewhere).mkdir(mode=0o755)
    open_to_all = code_of(lambda: Kernel.open(elsewhere))
    os.chown(elsewhere, 1000, 1000)
    os.chmod(elsewhere, 0o700)

    assert ("pin", "pin") == (open_to_all, code_of(lambda: Kernel.open(elsewhere)))


def test_no_bpf_file_system(tmp_path: Path) -> None:
    """Elsewhere than in a bpf file system nothing can be pinned."""
    assert "no-bpffs" == code_of(lambda: Kernel.open(str(tmp_path / "pins")))


def test_a_program_that_the_verifier_refuses(kernel: Kernel, tmp_path: Path) -> None:
    """The error has the verifier's log and says where it is kept; what is in force stays."""
    source = tmp_path / "bad.c"
    source.write_text(
        f'#include "{PORT.parents[2]}/bpf/maps.h"\n'
        "LSM_PROBE(file_fcntl, struct file *file, unsigned int command, unsigned long argument)\n"
        "{ return *(int *)argument; }\n"
    )
    with pytest.raises(KernelError) as raised:
        kernel.load(NARROW, lockdown=False, source=source)
    error = raised.value
    kept = Path(error.hint.rpartition("`")[0].rpartition("`")[2])

    assert ("verifier", HOOKS) == (error.code, kernel.attached)
    assert "invalid mem access" in error.log
    assert error.log in kept.read_text()


def die_while_attaching(*, complete: bool) -> None:
    """An enforcer is killed in the middle of replacing programs."""
    if (child := os.fork()) == 0:
        kernel = opened()
        kernel.load(WIDE, lockdown=False, source=PORT)
        kernel.publish([NEEDED], 1000)
        path = kernel._pins.begin()
        assert kernel._loaded is not None
        kernel._loaded.attach(path)
        if complete:
            kernel._pins.finish(path)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def numbers_of_versions() -> list[str]:
    """What the directories of programs are called after `programs-`."""
    return sorted(path.name.removeprefix("programs-") for path in Path(PINS, "v1").glob("programs-*"))


def test_a_hook_that_is_missing(enforcing: None) -> None:
    """Nothing is in force, as far as anybody is told: what is left guards nothing. Loading puts all in force again."""
    (number,) = numbers_of_versions()
    Path(PINS, "v1", f"programs-{number}", "link-file_receive").unlink()
    with opened() as kernel:
        found = kernel.attached
        enforce(kernel, NARROW, lockdown=True)

        assert ((), HOOKS) == (found, kernel.attached)


def test_killed_before_all_is_in_place(enforcing: None) -> None:
    """What was never finished is dropped; the version before it has been in force throughout."""
    (number,) = numbers_of_versions()
    die_while_attaching(complete=False)
    during = numbers_of_versions()
    with opened() as kernel:
        after = (kernel.profile, kernel.attached, numbers_of_versions())

    assert ([number, f"{int(number) + 1}-new"], (NARROW, HOOKS, [number])) == (during, after)


def test_killed_before_the_old_is_dropped(enforcing: None) -> None:
    """Of two complete versions the newer stays; then a third replaces that, and nothing is left over."""
    first = int(numbers_of_versions()[0])
    die_while_attaching(complete=True)
    during = numbers_of_versions()
    with opened() as kernel:
        newer = (kernel.profile, kernel.generation, numbers_of_versions())
        enforce(kernel, NARROW, lockdown=True)
        third = (
            kernel.profile,
            kernel.lockdown,
            numbers_of_versions(),
            guarded(kernel, LINKED) == numbers_of_links(),
        )

    assert [f"{first}", f"{first + 1}"] == during
    assert (WIDE, 1000, [f"{first + 1}"]) == newer
    assert (NARROW, True, [f"{first + 2}"], True) == third


def test_switching_off(enforcing: None) -> None:
    """Nothing is enforced afterwards, and nothing is pinned; it says what was."""
    with open_file() as fd:
        with opened() as kernel:
            kernel.tag(fd, 1, 1)
        before = is_delivered(fd)
        hooks = switch_off(PINS)
        after = is_delivered(fd)

    assert (False, HOOKS, True) == (before, hooks, after)
    assert (None, ()) == (pins.pinned(PINS), switch_off(PINS))


def test_the_product_itself(elsewhere: str) -> None:
    """The programs that enforce policies load, attach and answer."""
    switch_off(PINS)
    with Kernel.open(elsewhere) as kernel, open_file() as fd:
        kernel.load(Profile(1, 0, 0, False), lockdown=False)
        kernel.publish([], kernel.numbers.next_generation())
        attached = set(kernel.attach())
        answer = kernel.look(fd, 0)
        kernel.detach_all()

    assert {
        "file_receive",
        "file_fcntl",
        "file_free_security",
        "file_open",
        "ptrace_access_check",
    } <= attached
    assert (0, os.stat("/proc/self/ns/user").st_ino & 0xFFFF_FFFF) == (
        answer.opener.uid,
        answer.opener.userns,
    )
