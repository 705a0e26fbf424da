"""What a policy may ask about a process is what the kernel says of it, when it is asked, or it is unknown."""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fdstorefs.core.subject import Subject
from fdstorefs.errors import QuotaExceeded
from fdstorefs.host import cgroups, procfs
from fdstorefs.host.task import Task
from fdstorefs.server import kernel_facts
from fdstorefs.server.enforcement.subject_view import SubjectView
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink import peer
from tests.mount.driven_process import Counter, DrivenProcess, Line

OTHER = 1
CAP_NET_RAW = 13
SEND = "connected.send(b'x')"
EVERY_FACT = ("groups", "capabilities", "userns", "cgroup")

Start = Callable[..., DrivenProcess]
Connect = Callable[..., tuple[DrivenProcess, Line]]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def directory() -> Iterator[str]:
    """A directory that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="fdstorefs-") as path:
        os.chmod(path, 0o755)
        yield path


@pytest.fixture
def subjects() -> Subjects:
    """The subjects of an instance in our own user namespace."""
    return Subjects()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that is ended after the test."""
    with ExitStack() as stack:

        def make(path: str | None = None, **how: object) -> DrivenProcess:
            process = DrivenProcess(path, **how)  # type: ignore[arg-type]  # as DrivenProcess takes them
            stack.callback(process.end)
            return process

        yield make


@pytest.fixture
def connect(directory: str, subjects: Subjects, start: Start) -> Iterator[Connect]:
    """Starts a process that connects; returns it and the server's side of its connection."""
    with ExitStack() as stack:
        counter = Counter(f"{directory}/socket", subjects)
        stack.callback(counter.close)
        os.chmod(counter.path, 0o777)

        def make(**how: object) -> tuple[DrivenProcess, Line]:
            process = start(counter.path, **how)
            line = counter.accept()
            stack.callback(line.close)
            return process, line

        yield make


@pytest.fixture
def asking(connect: Connect) -> Callable[..., Subject]:
    """The subject of a message of a new process."""

    def make(**how: object) -> Subject:
        process, line = connect(**how)
        process.do(SEND)
        return line.subject()

    return make


@pytest.fixture
def new_cgroup() -> Iterator[Callable[[str], str]]:
    """Makes a cgroup below our own, by the end of its name; returns its path. Only root can."""
    own = Task(os.getpid()).cgroup()
    hierarchy = cgroups.find_hierarchy(procfs.mounts())
    if own is None or hierarchy is None or not os.access(hierarchy, os.W_OK):
        pytest.skip("needs a writable cgroup2 hierarchy")
    above = own.path.rstrip("/") if own.version == 2 else ""
    with ExitStack() as stack:

        def make(name: str) -> str:
            path = f"{above}/fdstorefs-{os.getpid()}-{name}"
            os.mkdir(hierarchy + path)
            stack.callback(os.rmdir, hierarchy + path)
            return path

        yield make


def enter(pid: int, cgroup: str) -> None:
    """Move a process into a cgroup."""
    hierarchy = cgroups.find_hierarchy(procfs.mounts())
    Path(f"{hierarchy}{cgroup}/cgroup.procs").write_text(str(pid))


def facts(subject: Subject) -> list[object]:
    """Every fact that a policy can ask for."""
    return [getattr(subject, name) for name in EVERY_FACT]


def test_a_process_like_ourselves(asking: Callable[..., Subject], subjects: Subjects) -> None:
    """A process that we start has what we have."""
    subject = asking()
    own = Task(os.getpid())
    place = own.cgroup()

    assert subjects.userns == subject.userns
    assert frozenset({os.getegid(), *os.getgroups()}) == subject.groups
    assert own.status().cap_effective == subject.capabilities
    assert place is not None
    assert place.path == subject.cgroup


@needs_root
def test_groups_are_the_first_and_the_supplementary_ones(asking: Callable[..., Subject]) -> None:
    """All of them, as the process has them."""
    assert frozenset({OTHER, 5, 70_000}) == asking(uid=OTHER, groups=[5, 70_000]).groups


@needs_root
def test_a_user_has_no_capabilities(asking: Callable[..., Subject]) -> None:
    """None is known to be none, and not unknown."""
    assert 0 == asking(uid=OTHER, groups=[]).capabilities


@needs_root
def test_dropped_capabilities_are_gone(asking: Callable[..., Subject]) -> None:
    """What a process of root has dropped it does not have."""
    subject = asking(prefix=["setpriv", "--bounding-set=-net_raw"])

    assert subject.capabilities
    assert not subject.capable(CAP_NET_RAW)


def test_a_child_user_namespace_lies_below_ours(asking: Callable[..., Subject], subjects: Subjects) -> None:
    """Its chain leads to ours, and all its power inside is none over the instance."""
    subject = asking(prefix=["unshare", "-Ur"])

    assert subject.userns is not None
    assert (2, subjects.userns[0]) == (len(subject.userns), subject.userns[-1])
    assert 0 == subject.capabilities


def test_each_namespace_on_the_way_is_in_the_chain(
    asking: Callable[..., Subject], subjects: Subjects
) -> None:
    """A namespace in a namespace is below both."""
    subject = asking(prefix=["unshare", "-Ur", "unshare", "-Ur"])

    assert subject.userns is not None
    assert 3 == len(set(subject.userns))
    assert subjects.userns[0] == subject.userns[-1]


def test_a_process_that_entered_a_user_namespace_since(connect: Connect, subjects: Subjects) -> None:
    """The next message is one from there."""
    process, line = connect()
    process.do(SEND)
    before = line.subject().userns
    process.do("import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0")
    process.do(SEND)
    after = line.subject().userns

    assert subjects.userns == before
    assert after is not None
    assert subjects.userns[0] == after[1]


@needs_root
def test_a_process_is_seen_in_the_cgroup_that_it_is_in_now(
    new_cgroup: Callable[[str], str], connect: Connect
) -> None:
    """A process that moves between two messages is seen where it moved to."""
    first, second = new_cgroup("first"), new_cgroup("second")
    process, line = connect()
    enter(process.pid, first)
    process.do(SEND)
    before = line.subject().cgroup
    enter(process.pid, second)
    process.do(SEND)
    after = line.subject().cgroup
    process.end()

    assert (first, second) == (before, after)


@needs_root
def test_a_cgroup_cannot_pass_for_another_by_its_name(
    new_cgroup: Callable[[str], str], connect: Connect
) -> None:
    """Whoever may make cgroups names them: a carriage return and the beginning of a line do not make one."""
    above = new_cgroup("a\r0::")
    hierarchy = cgroups.find_hierarchy(procfs.mounts())
    below = f"{above}/web.service"
    process, line = connect()
    os.mkdir(f"{hierarchy}{below}")
    try:
        enter(process.pid, below)
        process.do(SEND)
        found = line.subject().cgroup
    finally:
        process.end()
        os.rmdir(f"{hierarchy}{below}")

    assert below == found


@needs_root
def test_the_cgroup_has_its_number(new_cgroup: Callable[[str], str], connect: Connect) -> None:
    """The audit log tells the kernel's number of the cgroup: the inode of its directory."""
    cgroup = new_cgroup("numbered")
    process, line = connect()
    enter(process.pid, cgroup)
    process.do(SEND)
    details = line.subject().details()
    inode = os.stat(f"{cgroups.find_hierarchy(procfs.mounts())}{cgroup}").st_ino
    process.end()

    assert details is not None
    assert (cgroup, inode) == (details.cgroup, details.cgroup_id)


@pytest.mark.may_skip_in_ci("a host without cgroups of version 1 shows no task where it isn't")
def test_a_process_whose_main_thread_ends_is_not_taken_to_be_in_the_root(connect: Connect) -> None:
    """In hierarchies of version 1 the kernel shows a task that is ending in the root, wherever it was."""
    place = Task(os.getpid()).cgroup()
    if place is None or place.version != 1:
        pytest.skip("needs cgroups of version 1 and none in use of version 2")
    process, line = connect()
    process.do("import ctypes, threading, time; end = ctypes.CDLL(None).pthread_exit")
    process.do("threading.Thread(target=time.sleep, args=(600,)).start()")
    process.do(SEND)
    before = line.subject().cgroup
    process.do(SEND)
    process.leave("end(None)")
    wait_for_state(process.pid, "Z")

    assert (place.path, None) == (before, line.subject().cgroup)


def wait_for_state(pid: int, state: str) -> None:
    """Wait until the main thread of a process is in this state."""
    while procfs.parse_stat(Path(f"/proc/{pid}/stat").read_bytes())[1][0] != state.encode():
        os.sched_yield()


def test_a_fact_is_of_the_moment_of_the_first_question(connect: Connect, subjects: Subjects) -> None:
    """Within one request it does not change."""
    process, line = connect()
    process.do(SEND)
    subject = line.subject()
    before = subject.userns
    process.do("import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0")

    assert subjects.userns == before
    assert before is subject.userns


def test_a_sender_that_has_ended_is_unknown(connect: Connect) -> None:
    """Its ids are known from the message, and nothing else is known: not even that there is nothing."""
    process, line = connect()
    process.do(SEND)
    process.end()
    subject = line.subject()

    assert (os.getuid(), process.pid) == (subject.uid, subject.pid)
    assert [None] * len(EVERY_FACT) == facts(subject)
    assert subject.details() is None


def test_a_sender_that_was_known_is_unknown_once_it_has_ended(connect: Connect) -> None:
    """What has been looked up for one message is not there for the next."""
    process, line = connect()
    process.do(SEND)
    known = facts(line.subject())
    process.do(SEND)
    process.end()

    assert None not in known
    assert [None] * len(EVERY_FACT) == facts(line.subject())


def test_a_sender_that_is_not_the_peer_is_unknown(connect: Connect, start: Start) -> None:
    """Through a connection that another process made one is one's ids, and no more."""
    process, line = connect()
    process.do("os.set_inheritable(connected.fileno(), True)")
    process.do("pid = os.fork() or (connected.send(b'x'), os._exit(0))")
    process.do("os.waitpid(pid, 0)")
    subject = line.subject()
    process.do(SEND)
    peers_own = line.subject()

    assert process.pid != subject.pid
    assert [None] * len(EVERY_FACT) == facts(subject)
    assert subject.details() is None
    assert None not in facts(peers_own)


def test_what_is_unknown_to_a_policy_is_no_right_to_the_mode_bits(connect: Connect) -> None:
    """A policy is told that it cannot be told; mode bits count nothing that cannot be told."""
    process, line = connect()
    process.do(SEND)
    process.end()
    subject = line.subject()
    view = SubjectView(subject)

    assert {"unknown"} == {value.value for value in (view.gids, view.capabilities, view.userns, view.cgroup)}  # type: ignore[union-attr]  # checked here
    assert not subject.in_group(subject.gid + 1)
    assert not any(subject.capable(number) for number in range(41))


@pytest.fixture
def cat(directory: str) -> str:
    """A program of root's that repeats its input."""
    return shutil.copy("/bin/cat", directory)


@needs_root
def test_what_a_set_user_id_program_has_does_not_count(connect: Connect, cat: str) -> None:
    """Whoever sends a message and then executes one has not sent it with that program's rights."""
    os.chmod(cat, 0o4755)
    process, line = connect(uid=OTHER, groups=[])
    process.do(SEND)
    process.execute(cat)

    assert 0 == os.stat(f"/proc/{process.pid}").st_uid
    assert [None] * len(EVERY_FACT) == facts(line.subject())


@needs_root
def test_capabilities_of_a_program_do_not_count(connect: Connect, cat: str) -> None:
    """A program with file capabilities keeps all uids, so its capabilities are told by another sign."""
    give_capability(cat, CAP_NET_RAW)
    process, line = connect(uid=OTHER, groups=[5])
    process.do(SEND)
    process.do(SEND)
    before = line.subject().capabilities
    process.execute(cat)
    subject = line.subject()

    assert 1 << CAP_NET_RAW == Task(process.pid).status().cap_effective
    assert (0, None) == (before, subject.capabilities)
    assert frozenset({OTHER, 5}) == subject.groups


def give_capability(path: str, capability: int) -> None:
    """What `setcap ...=ep` does."""
    os.chmod(path, 0o755)
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x0200_0001, 1 << capability, 0, 0, 0))


def test_a_directory_of_a_process_is_never_anothers(start: Start) -> None:
    """A number that belongs to another process than the one held is refused."""
    held, other = start(), start()
    pidfd = os.pidfd_open(held.pid)
    with pytest.raises(ProcessLookupError):
        Task.hold(other.pid, pidfd)
    os.close(pidfd)


def test_what_is_held_stays_one_process(start: Start) -> None:
    """Once it has ended nothing can be read, whoever has its number; nor can it be held any more."""
    process = start()
    pidfd = os.pidfd_open(process.pid)
    task = Task.hold(process.pid, pidfd)
    task.cgroup()
    process.end()
    for read in (task.status, task.cgroup, task.name_and_start, lambda: task.namespace("user")):
        with pytest.raises(ProcessLookupError):
            read()
    with pytest.raises((ProcessLookupError, FileNotFoundError)):
        Task.hold(process.pid, pidfd)
    task.close()
    os.close(pidfd)


def test_what_was_let_go_of_tells_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the server's working directory has files of the same names."""
    process = start()
    pidfd = os.pidfd_open(process.pid)
    task = Task.hold(process.pid, pidfd)
    task.close()
    task.close()
    os.close(pidfd)
    monkeypatch.chdir(f"/proc/{process.pid}")

    for read in (task.status, task.cgroup, task.name_and_start, task.program, lambda: task.namespace("user")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            read()


def test_a_connection_holds_two_descriptors_at_most(connect: Connect) -> None:
    """None before the first question, two after every question, none when it is closed."""
    process, line = connect()
    process.do(SEND)
    subject = line.subject()
    if not peer.kernel_knows_peer_pidfds():
        pytest.skip("needs SO_PEERPIDFD: Linux 6.5")
    counts = [procfs.open_descriptors()]
    facts(subject)
    subject.details()
    counts.append(procfs.open_descriptors())
    line.sender.close()
    counts.append(procfs.open_descriptors())

    assert [0, 2, 0] == [count - counts[0] for count in counts]


def test_on_an_older_kernel_the_number_is_enough_while_it_is_fresh(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Linux 6.5 the process is held from the start on; later the facts are the same."""
    monkeypatch.setattr(peer, "kernel_knows_peer_pidfds", lambda: False)
    process, line = connect()
    process.do(SEND)
    process.do(SEND)
    known = facts(line.subject())
    process.end()

    assert None not in known
    assert [None] * len(EVERY_FACT) == facts(line.subject())


def test_details(connect: Connect) -> None:
    """For the audit log there is more, and when it was read."""
    process, line = connect()
    process.do(SEND)
    details = line.subject().details()
    task = procfs.read_task(process.pid)

    assert details is not None
    assert (process.pid, process.pid) == (details.pid, details.tid)
    assert (task.comm, task.exe, task.start_time) == (details.comm, details.exe, details.start_time)
    assert (task.uids, task.gids, task.groups) == (details.uids, details.gids, frozenset(details.groups))
    assert (task.cap_effective, task.mntns) == (details.cap_effective, details.mntns)
    assert 0 < details.read_at


@pytest.mark.parametrize(("age", "again"), [(1 << 62, True), (-1, False)])
def test_details_serve_for_a_while(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, age: int, again: bool
) -> None:
    """The same look at a process serves for several messages, until it is too old."""
    monkeypatch.setattr(peer, "DETAILS_AGE_NS", age)
    process, line = connect()
    process.do(SEND)
    first = line.subject().details()
    process.do(SEND)

    assert again is (first is line.subject().details())


def test_a_thread_that_waits_for_an_answer(start: Start, subjects: Subjects) -> None:
    """Through the mount the facts are those of the thread with the number in the request."""
    process = start(prefix=["unshare", "-Ur"])
    subject = subjects.subject(process.pid, os.geteuid(), os.getegid())
    details = subject.details()

    assert None not in facts(subject)
    assert subject.userns is not None
    assert subjects.userns[0] == subject.userns[1]
    assert details is not None
    assert (process.pid, subject.userns) == (details.pid, details.userns)


def test_a_thread_is_named_beside_its_process(subjects: Subjects) -> None:
    """The details of a request through the mount tell the thread and the process that it belongs to."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    details = subjects.subject(thread.native_id or 0, os.geteuid(), os.getegid()).details()
    go_on.set()
    thread.join()

    assert details is not None
    assert (os.getpid(), thread.native_id) == (details.pid, details.tid)


def test_a_request_in_somebody_elses_name_is_unknown(start: Start, subjects: Subjects) -> None:
    """A request with another uid than its thread's tells nothing of the thread."""
    subject = subjects.subject(start().pid, os.geteuid() + 1, os.getegid())

    assert [None] * len(EVERY_FACT) == facts(subject)


@needs_root
def test_a_thread_may_use_files_as_another_user(start: Start, subjects: Subjects) -> None:
    """The uid of a request is the file-system uid of its thread."""
    process = start()
    process.do("import ctypes; ctypes.CDLL(None).setfsuid(5)")
    subject = subjects.subject(process.pid, 5, 0)

    assert None not in facts(subject)


def test_a_process_that_cannot_be_seen_is_unknown(subjects: Subjects) -> None:
    """The kernel gives the number 0 to one in a pid namespace that we don't see."""
    assert [None] * len(EVERY_FACT) == facts(subjects.subject(0, os.geteuid(), os.getegid()))


def test_who_stashes_many_is_recorded_once(connect: Connect, subjects: Subjects) -> None:
    """The record tells the user namespace, capabilities on request, and is shared."""
    process, line = connect()
    records = []
    for _ in range(2):
        process.do(SEND)
        records.append(subjects.stasher(line.subject()))
    process.do(SEND)
    subject = line.subject()
    full = subjects.stasher(subject, with_capabilities=True)

    assert records[0] is records[1]
    assert (process.pid, subjects.userns, None) == (
        records[0].pid,
        records[0].userns,
        records[0].capabilities,
    )
    assert subject.capabilities == full.capabilities


def test_the_number_of_a_stashers_user_namespace_is_not_given_away(
    connect: Connect, subjects: Subjects
) -> None:
    """While there is a record of it, it is held, however many others come; then it is let go."""
    process, line = connect(prefix=["unshare", "-Ur"])
    process.do(SEND)
    before = procfs.open_descriptors()
    record = subjects.stasher(line.subject())
    process.do(SEND)
    again = line.subject().userns
    process.end()
    others, _ = connect(prefix=["unshare", "-Ur"])
    assert record.userns is not None
    assert record.userns == again
    assert os.stat(f"/proc/{others.pid}/ns/user").st_ino != record.userns[0]
    holds = procfs.open_descriptors()
    del record, again
    subjects.stasher(subjects.subject(0, 0, 0))

    assert holds - 1 == procfs.open_descriptors()
    assert before < holds


def test_a_user_namespace_that_is_not_held_is_not_recorded(
    connect: Connect, subjects: Subjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is an end to holding: then who asks is still known, but can leave nothing that would outlive it."""
    monkeypatch.setattr(subjects.home, "_most_held", 0)
    process, line = connect(prefix=["unshare", "-Ur"])
    process.do(SEND)
    subject = line.subject()

    assert subject.userns is not None
    with pytest.raises(QuotaExceeded, match="user namespace"):
        subjects.stasher(subject)


@needs_root
def test_one_user_cannot_have_all_user_namespaces_held(
    connect: Connect, subjects: Subjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace in one of his is his, too; those of another user, and those that root made, are not."""
    monkeypatch.setattr(kernel_facts, "MOST_HELD_OF_ONE", 1)
    once, twice = ["unshare", "-Ur"], ["unshare", "-Ur", "unshare", "-Ur"]
    ways = [(once, 4001), (once, 4001), (twice, 4001), (once, 4002), (once, None), (twice, None)]
    records, refused = [], []
    for prefix, uid in ways:
        process, line = connect(prefix=prefix, uid=uid)
        process.do(SEND)
        try:
            records.append(subjects.stasher(line.subject()))
        except QuotaExceeded:
            refused.append((prefix, uid))

    assert [(once, 4001), (twice, 4001)] == refused
    assert len(ways) - 2 == len(records)


GROUPS_INSIDE = """
from fdstorefs.server.kernel_facts import Home
home = Home()
print(sorted(home.groups(65534, (5, 65534))), home.knows_uid(65534))
"""


def test_a_group_without_a_number_here_is_none_of_the_groups() -> None:
    """Where only one id is mapped, 65534 stands for all the others: no group of anybody."""
    done = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", GROUPS_INSIDE], capture_output=True, text=True, check=False
    )

    assert "[5] False\n" == done.stdout


@needs_root
def test_a_group_that_may_be_one_or_the_other_is_unknown(start: Start) -> None:
    """Where 65534 is mapped but not all is, it stands for a group and for all strangers."""
    process = start()
    process.do("import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0")
    for kind in ("uid", "gid"):
        Path(f"/proc/{process.pid}/{kind}_map").write_text("0 0 65536")
    process.do(f"sys.path[:] = {sys.path!r}")
    process.do("from fdstorefs.server.kernel_facts import Home; home = Home()")
    process.do("assert home.groups(65534, ()) is None")
    process.do("assert home.groups(0, (5,)) == {0, 5}")


def test_capabilities_elsewhere_are_unknown(subjects: Subjects) -> None:
    """In a namespace that is neither ours nor below, nothing is known of power over ours."""
    own = subjects.userns

    assert 3 == subjects.home.capabilities(3, own)
    assert 0 == subjects.home.capabilities(3, (7, *own))
    assert subjects.home.capabilities(3, (7,)) is None
    assert subjects.home.capabilities(3, None) is None
