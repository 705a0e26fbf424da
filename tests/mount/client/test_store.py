"""The Python client with a real instance."""

import errno
import os
import resource
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.interface import MAX_DESCRIPTORS
from tests.mount.instance import Instance
from tests.mount.open_files import open_files

pytestmark = pytest.mark.usefixtures("no_leak")

Start = Callable[..., Instance]


def memfd(text: str = "") -> int:
    """An open file to stash."""
    descriptor = os.memfd_create("test")
    os.write(descriptor, text.encode())
    return descriptor


@pytest.fixture
def stashed(store: fdstorefs.Store) -> Callable[..., None]:
    """Stash memfds that hold their names."""

    def stash(*names: str) -> None:
        for name in names:
            with os.fdopen(memfd(name)) as file:
                store.stash(name, file)

    return stash


def text_of(retrieved: fdstorefs.Retrieved) -> str:
    """What a retrieved memfd holds."""
    with retrieved:
        return os.pread(retrieved.fileno(), 100, 0).decode()


def test_what_is_retrieved_is_the_very_open_file(store: fdstorefs.Store) -> None:
    """Seeking through one descriptor moves the other."""
    original = memfd("0123456789")
    store.stash("digits", original)
    with store.retrieve("digits") as retrieved:
        os.lseek(retrieved.fileno(), 7, os.SEEK_SET)

        assert os.read(original, 10) == b"789"
        assert not os.get_inheritable(retrieved.fileno())
    os.close(original)


def test_a_listening_socket_comes_back_as_a_socket(store: fdstorefs.Store) -> None:
    """It accepts what connects to its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        store.stash("web", listening)
        address = listening.getsockname()

    with (
        store.retrieve("web").socket() as again,
        socket.create_connection(address) as client,
        again.accept()[0] as served,
    ):
        served.sendall(b"hello")
        assert client.recv(5) == b"hello"


def test_what_is_retrieved_can_be_stashed(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """It has a fileno, and stays open."""
    stashed("a")
    with store.retrieve("a") as retrieved:
        store.stash("b", retrieved)
        assert not retrieved.closed

    a, b = store.list()
    assert a.file == b.file


def test_many_are_retrieved_in_lots(store: fdstorefs.Store) -> None:
    """More than fit in one message; each under its name, in the order asked for."""
    names = [f"e{number:03}" for number in range(MAX_DESCRIPTORS + 47)]
    for lot in (names[:200], names[200:]):
        files = {name: memfd(name) for name in lot}
        ids = store.stash_many(files)
        assert list(ids) == lot
        for descriptor in files.values():
            os.close(descriptor)
    backwards = names[::-1]

    retrieved = store.retrieve_many(backwards)
    assert list(retrieved) == backwards
    assert [text_of(file) for file in retrieved.values()] == backwards


def test_all_or_none_are_retrieved_however_many(store: fdstorefs.Store) -> None:
    """One is missing in the second lot: those of the first are closed again."""
    names = [str(number) for number in range(MAX_DESCRIPTORS)]
    files = {name: os.memfd_create(name) for name in names}
    store.stash_many(files)
    for descriptor in files.values():
        os.close(descriptor)
    before = open_files()
    with pytest.raises(fdstorefs.NoSuchEntry) as raised:
        store.retrieve_many([*names, "missing"])

    assert raised.value.name == "missing"
    assert before == open_files()


def test_one_name_twice_is_one_descriptor(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """A dictionary holds it once, so it is retrieved once."""
    stashed("a")
    retrieved = store.retrieve_many(["a", "a"])

    assert list(retrieved) == ["a"]
    retrieved["a"].close()


@pytest.mark.parametrize(
    "call",
    [
        lambda store, names: store.stash_many(dict.fromkeys(names, 0)),
        lambda store, names: store.take_many(names),
    ],
)
def test_what_must_be_all_or_none_is_not_done_in_lots(
    store: fdstorefs.Store, call: Callable[[fdstorefs.Store, list[str]], object]
) -> None:
    """More than one message carries is refused before anything is sent."""
    with pytest.raises(fdstorefs.InvalidArgument, match="254 entries can't be"):
        call(store, [str(number) for number in range(MAX_DESCRIPTORS + 1)])
    assert store.list() == []


def test_taking_is_retrieving_and_discarding(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """One, or several at once."""
    stashed("a", "b", "c")

    assert text_of(store.take("a")) == "a"
    assert [text_of(taken) for taken in store.take_many(["c", "b"]).values()] == ["c", "b"]
    assert store.list() == []


def test_names_and_boxes(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """Rename, link, list by pattern, discard, make and remove a box."""
    store.make_box("blue", 0o750)
    stashed("blue/a", "b", "c")
    store.rename("b", "blue/b")
    store.link("blue/b", "b2")
    store.discard("c", "blue/a")

    assert ["b2", "blue", "blue/b"] == [entry.name for entry in store.list()]
    assert ["blue/b"] == [entry.name for entry in store.list("blue/*", details=False)]
    assert store.describe("blue").entry.mode == 0o750

    store.discard("blue/b")
    store.remove_box("blue")
    assert ["b2"] == [entry.name for entry in store.list()]


def test_a_goal_is_replaced_only_when_asked(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """For rename as for stash."""
    stashed("a", "b")
    with pytest.raises(FileExistsError):
        store.rename("a", "b")
    store.rename("a", "b", replace=True)
    with pytest.raises(fdstorefs.EntryExists):
        stashed("b")

    assert text_of(store.retrieve("b")) == "a"


def test_a_sealed_box_is_busy(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """Until it is unsealed."""
    store.make_box("blue")
    stashed("blue/a")
    store.seal("blue")
    with pytest.raises(fdstorefs.Busy):
        store.retrieve("blue/a")
    store.unseal("blue")

    assert text_of(store.retrieve("blue/a")) == "blue/a"


def test_an_entry_tells_what_it_is_and_whose(store: fdstorefs.Store) -> None:
    """Mode, label, stasher, and what the kernel says."""
    reading, writing = os.pipe()
    store.stash("p", reading, mode=0o640, label="prod")
    os.close(reading)
    described = store.describe("p")
    listed = store.list("p")
    os.close(writing)
    entry = described.entry

    assert ("p", "pipe", 0o640, "prod", os.geteuid()) == (
        entry.name,
        entry.kind,
        entry.mode,
        entry.label,
        entry.uid,
    )
    assert entry.stasher is not None
    assert entry.stasher.pid == os.getpid()
    assert "flags" in described.details
    assert [entry] == listed


def test_listing_tells_how_far_it_is(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """The last count is that of all entries."""
    stashed("a", "b", "c")
    counts: list[int] = []
    store.list(progress=counts.append)

    assert counts[-1] == 3


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda store: store.retrieve("no"), FileNotFoundError),
        (lambda store: store.retrieve("a/b"), NotADirectoryError),
        (lambda store: store.retrieve("box"), IsADirectoryError),
        (lambda store: store.stash("a", 0), FileExistsError),
        (lambda store: store.stash(".", 0), fdstorefs.InvalidName),
        (lambda store: store.stash("x" * 256, 0), fdstorefs.NameTooLong),
        (lambda store: store.remove_box("full"), fdstorefs.NotEmpty),
        (lambda store: store.list("["), fdstorefs.InvalidArgument),
    ],
)
def test_refusals_are_the_errors_of_python_too(
    store: fdstorefs.Store,
    stashed: Callable[..., None],
    call: Callable[[fdstorefs.Store], object],
    kind: type[OSError],
) -> None:
    """A program that knows nothing of fdstorefs can catch them; the connection goes on."""
    store.make_box("box")
    store.make_box("full")
    stashed("a", "full/b")
    with pytest.raises(kind) as raised:
        call(store)

    assert isinstance(raised.value, fdstorefs.StoreError)
    assert text_of(store.retrieve("a")) == "a"


def test_stashing_what_is_not_open_names_the_number(store: fdstorefs.Store) -> None:
    """Which of several it was."""
    closed = os.dup(0)
    os.close(closed)
    with pytest.raises(fdstorefs.BadDescriptor, match=f"`{closed}` is no open descriptor"):
        store.stash_many({"a": 0, "b": closed})
    assert store.list() == []


def test_without_room_for_a_descriptor_nothing_is_received(
    store: fdstorefs.Store, stashed: Callable[..., None]
) -> None:
    """At our own limit it is EMFILE; the store still has everything and the connection works."""
    stashed("a", "b", "c")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    before = open_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, hard))
    try:
        with pytest.raises(OSError, match="cannot receive `b`") as raised:
            store.retrieve_many(["a", "b", "c"])
        assert raised.value.errno == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert open_files() <= before
    assert text_of(store.retrieve("b")) == "b"


def test_changes_are_watched_as_they_happen(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """From the moment the watch is made; only those to matching names."""
    with store.watch("a*") as watch:
        stashed("a", "b")
        store.rename("a", "a2")
        store.discard("b", "a2")
        seen = [next(watch) for _ in range(3)]
        assert watch.wait(0) is None

    assert [("stashed", "a"), ("renamed", "a2"), ("discarded", "a2")] == [
        (change.change, change.entry.name if change.entry else None) for change in seen
    ]
    assert seen[1].former == "a"


def test_a_watch_can_be_waited_for_with_other_things(
    store: fdstorefs.Store, stashed: Callable[..., None]
) -> None:
    """Its descriptor is readable when there is a change."""
    with store.watch() as watch:
        assert select.select([watch], [], [], 0) == ([], [], [])
        stashed("a")
        assert select.select([watch], [], [], 10) == ([watch], [], [])
        change = watch.wait(0)

        assert change is not None
        assert change.change == "stashed"
        assert watch.wait(0.01) is None


def test_a_watch_ends_when_it_is_closed(store: fdstorefs.Store) -> None:
    """Iterating stops; waiting is a mistake."""
    watch = store.watch()
    watch.close()

    assert list(watch) == []
    with pytest.raises(ValueError, match="closed"):
        watch.wait(0)


def test_a_watch_ends_with_the_instance(instance: Instance, store: fdstorefs.Store) -> None:
    """It doesn't wait for ever."""
    with store.watch() as watch:
        instance.stop()
        with pytest.raises(fdstorefs.NoInstance):
            watch.wait(10)


def test_threads_share_a_connection(store: fdstorefs.Store, stashed: Callable[..., None]) -> None:
    """Each gets the reply to its own call."""
    names = [f"thread-{number}" for number in range(8)]
    stashed(*names)
    wrong: list[str] = []

    def work(name: str) -> None:
        wrong.extend(name for _ in range(100) if text_of(store.retrieve(name)) != name)

    threads = [threading.Thread(target=work, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_forked_child_has_a_connection_of_its_own(
    store: fdstorefs.Store, stashed: Callable[..., None]
) -> None:
    """Even when a thread of its parent was in the middle of a call; and the parent's goes on."""
    stashed("parent", "child")
    store._connection._lock.acquire()
    pid = os.fork()
    if pid == 0:
        ok = False
        try:
            ok = all(text_of(store.retrieve("child")) == "child" for _ in range(100))
        finally:
            os._exit(0 if ok else 1)
    store._connection._lock.release()

    assert {"parent"} == {text_of(store.retrieve("parent")) for _ in range(100)}
    assert os.waitpid(pid, 0)[1] == 0


def test_a_forked_child_leaves_the_watch_to_its_parent(
    store: fdstorefs.Store, stashed: Callable[..., None]
) -> None:
    """The child has none; the parent misses nothing."""
    with store.watch() as watch:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if list(watch) == [] else 1)
        assert os.waitpid(pid, 0)[1] == 0
        stashed("a")
        change = watch.wait(10)

    assert change is not None


def test_a_restarted_instance_is_found_again(running_instance: Start) -> None:
    """What can be done twice is; the store is a new one, though, and empty."""
    first = running_instance()
    with fdstorefs.connect(first.mount) as store:
        store.stash("a", 0)
        first.stop()
        with pytest.raises(fdstorefs.NoInstance):
            store.status()

        second = running_instance(mount=first.mount)
        assert store.status().pid == second.pid
        with pytest.raises(fdstorefs.NoSuchEntry):
            store.retrieve("a")
        second.stop()
        third = running_instance(mount=first.mount)
        store.stash("a", 0)
        assert store.status().pid == third.pid


def test_a_mount_may_have_a_path_too_long_for_a_socket(running_instance: Start, tmp_path: Path) -> None:
    """A socket address holds 107 bytes, a path may have 4095."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    instance = running_instance(mount=str(deep))
    with fdstorefs.connect(deep) as store:
        assert store.status().mount == instance.mount


def test_the_default_is_what_the_environment_says(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """$FDSTOREFS_MOUNT first, then what is there of $XDG_RUNTIME_DIR/fdstore."""
    monkeypatch.setenv("FDSTOREFS_MOUNT", instance.mount)
    with fdstorefs.connect() as store:
        assert store.mount == instance.mount

    monkeypatch.delenv("FDSTOREFS_MOUNT")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(fdstorefs.NoInstance, match="`/run/fdstore`"):
        fdstorefs.connect()
    (tmp_path / "fdstore").mkdir()
    with pytest.raises(fdstorefs.NoInstance, match=f"`{tmp_path}/fdstore`"):
        fdstorefs.connect()


@pytest.mark.parametrize(
    ("name", "kind"), [("absent", fdstorefs.NoInstance), ("file/below", fdstorefs.NoInstance)]
)
def test_no_instance_is_said_with_what_to_do(tmp_path: Path, name: str, kind: type[Exception]) -> None:
    """Wherever one looks for it."""
    (tmp_path / "file").touch()
    with pytest.raises(kind) as raised:
        fdstorefs.connect(tmp_path / name)

    assert isinstance(raised.value, ConnectionError)
    assert f"fdstorefs mount {tmp_path / name}" in (raised.value.hint or "")  # type: ignore[attr-defined]


def test_a_dead_socket_is_no_instance(tmp_path: Path) -> None:
    """What somebody left behind."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / ".fdstore"))
    with pytest.raises(fdstorefs.NoInstance, match="has ended and left its mount"):
        fdstorefs.connect(tmp_path)


def test_a_closed_store_is_closed(store: fdstorefs.Store) -> None:
    """Using it is a mistake, closing it twice is none."""
    store.close()
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.status()
