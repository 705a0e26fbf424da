"""Opening an entry and connecting to an instance's socket: the policy is asked before the server is."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import EntryKey, Event, Hook, Reason
from fdstorefs.server.mounting import mount_instance, unmount
from tests.kernel.actor import Actor
from tests.kernel.hooks import acts
from tests.kernel.hooks.instance import Instance, may

Start = Callable[..., Actor]
FUSE = 0x65735546


class Mounted:
    """A real mount of root's with an entry of root's, which the kernel takes for the instance's."""

    def __init__(self, path: str, instance: Instance) -> None:
        self.entry = Path(path, "a")
        self.socket = Path(path, ".fdstore")
        self.kernel = instance.kernel
        with fdstorefs.connect(path) as store, tempfile.TemporaryFile() as file:
            store.stash("a", file)
        status = self.entry.stat()
        self.key = EntryKey(os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino)
        self.belong_to(instance)

    def belong_to(self, instance: Instance) -> None:
        """Be the mount of another instance."""
        self.kernel.put_mount(self.key.device, instance.number)

    def know(self, class_set: int) -> None:
        """Say by what the entry is judged."""
        self.kernel.put_entry(self.key.device, self.key.inode, class_set)

    def end(self) -> None:
        """Let the mount be nobody's again."""
        self.kernel.remove_mount(self.key.device)
        self.kernel.remove_entry(self.key.device, self.key.inode)

    def records(self) -> list[Event]:
        """What is on record since the last time."""
        return self.kernel.ring.read()


@pytest.fixture
def mounted(instance: Instance, running_instance: Callable[..., fdstorefs.Store]) -> Iterator[Mounted]:
    """Ends before the mount does."""
    made = Mounted(str(running_instance().mount), instance)
    yield made
    made.end()


@pytest.fixture
def roots(instance: Instance) -> Instance:
    """An instance whose policy lets root retrieve everything."""
    made = Instance(instance.kernel, may(0))
    made.kernel.publish(made.rows(), made.generation)
    return made


def refusal(call: Callable[..., object], *arguments: object) -> int:
    """The errno with which it fails, 0 if it does not."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno or -1
    return 0


def test_a_known_entry(actor: Start, mounted: Mounted, instance: Instance) -> None:
    """Is judged as its open file would be: its own stasher is refused where no rule allows, and that is on record."""
    mounted.know(instance.class_set())
    refused = refusal(actor().call, acts.opened, str(mounted.entry), os.O_RDONLY)
    (event,) = mounted.records()

    assert (errno.EACCES, Hook.OPENED, Reason.BY_NO_RULE, 0) == (refused, event.hook, event.reason, event.uid)
    assert (mounted.key, FUSE) == (EntryKey(event.device, event.inode), event.magic)


def test_where_a_rule_allows(actor: Start, mounted: Mounted, roots: Instance) -> None:
    """Opening and connecting go on to the server."""
    mounted.belong_to(roots)
    mounted.know(roots.class_set())
    root = actor()
    answers = [
        refusal(root.call, acts.opened, str(mounted.entry), os.O_RDONLY),
        refusal(root.call, acts.connected, str(mounted.socket)),
    ]

    assert ([0, 0], []) == (answers, mounted.records())


def test_an_unknown_entry(actor: Start, mounted: Mounted) -> None:
    """Is not read, but may be filled or replaced, as nothing of what it holds is given out by that."""
    root = actor()
    ways = (os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_TRUNC)
    answers = [refusal(root.call, acts.opened, str(mounted.entry), flags) for flags in ways]
    answers.append(refusal(root.call, acts.opened, str(mounted.entry) + "new", os.O_RDWR | os.O_CREAT))
    reasons = [event.reason for event in mounted.records()]

    assert ([errno.EACCES, errno.EACCES, 0, 0, 0], [Reason.UNCLASSIFIED] * 2) == (answers, reasons)


def test_an_unguarded_entry(actor: Start, mounted: Mounted) -> None:
    """Is its server's to decide on."""
    mounted.know(abi.UNGUARDED)

    assert 0 == refusal(actor().call, acts.opened, str(mounted.entry), os.O_RDONLY)


def test_writing_to_a_known_entry(actor: Start, mounted: Mounted, instance: Instance) -> None:
    """Reaches the file behind it, unless it replaces that."""
    mounted.know(instance.class_set())
    root = actor()
    ways = (os.O_WRONLY, os.O_WRONLY | os.O_TRUNC)

    answers = [refusal(root.call, acts.opened, str(mounted.entry), flags) for flags in ways]

    assert ([errno.EACCES, 0], [Reason.BY_NO_RULE]) == (
        answers,
        [event.reason for event in mounted.records()],
    )


def test_processes_of_the_instance(actor: Start, mounted: Mounted, instance: Instance) -> None:
    """Are not gated."""
    keeper = actor()
    instance.give_role(keeper.pid, abi.RoleKind.KEEPER)

    assert 0 == refusal(keeper.call, acts.opened, str(mounted.entry), os.O_RDONLY)


def test_connecting(actor: Start, mounted: Mounted) -> None:
    """Is for those whom some rule could allow something."""
    refused = refusal(actor().call, acts.connected, str(mounted.socket))
    (event,) = mounted.records()

    assert (errno.EACCES, Hook.CONNECTED, 0) == (refused, event.hook, event.uid)
    assert (mounted.key.device, FUSE) == (event.device, event.magic)


def test_a_mount_that_has_gone(instance: Instance, tmp_path: Path) -> None:
    """Its device number may be another's next, so it is nobody's from then on."""
    mount = mount_instance(str(tmp_path))
    device = os.major(mount.device) << 20 | os.minor(mount.device)
    instance.kernel.put_mount(device, instance.number)
    before = device in instance.kernel.mounts()
    unmount(str(tmp_path), lazy=True)
    os.close(mount.device_fd)

    assert (True, False) == (before, device in instance.kernel.mounts())
