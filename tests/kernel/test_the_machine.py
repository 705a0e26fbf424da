"""The virtual machine is what the other tests of this tier take it for."""

import ctypes
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel import cgroups, machine
from tests.kernel.actor import Actor, ActorFailed
from tests.kernel.people import ALICE, EVERYBODY, Person
from tests.mount.cast import Cast, mounted_below
from tests.mount.instance import Instance

Act = Callable[..., Actor]
Start = Callable[..., Instance]
MakeCgroup = Callable[[str], Path]

NO_NAME = 4242


def filesystem(path: str) -> str:
    """The type of what is mounted there."""
    return subprocess.run(
        ["stat", "--file-system", "--format=%T", path], check=True, capture_output=True, text=True
    ).stdout.strip()


def own_ids() -> list[int]:
    """Who the caller is."""
    return [*os.getresuid(), *os.getresgid(), *os.getgroups()]


def own_cgroup() -> str:
    """The caller's control group."""
    return Path("/proc/self/cgroup").read_text()


def own_user_namespace() -> list[str]:
    """The caller's user namespace, and the ids in it."""
    return [os.readlink("/proc/self/ns/user"), Path("/proc/self/uid_map").read_text().split()[1]]


def size_of(descriptor: int) -> int:
    """The length of an open file."""
    return os.fstat(descriptor).st_size


def open_fuse() -> bool:
    """Whether the caller may open /dev/fuse for reading and writing."""
    os.close(os.open("/dev/fuse", os.O_RDWR))
    return True


def own_descriptors() -> list[str]:
    """What is open here, as its own user sees it."""
    return os.listdir(f"/proc/{os.getpid()}/fd")


def fail_otherwise() -> None:
    """Raise what is no OSError."""
    raise ValueError("this went wrong")


def mount_tmpfs() -> bool:
    """Mount something, which takes a capability."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    return os.path.ismount("/mnt")


def test_bpf_lsm_is_active() -> None:
    """The kernel runs programs at its security hooks."""
    assert "bpf" in machine.active_lsms()


def test_the_kernel_is_the_one_asked_for() -> None:
    """Not the host's, nor another of the cached ones."""
    wanted = os.environ[machine.KERNEL].split(".")

    assert wanted == platform.release().split(".")[:2]


def test_types_of_the_kernel_are_known() -> None:
    """BTF, from which programs learn where a struct's members are."""
    with open("/sys/kernel/btf/vmlinux", "rb") as types:
        assert b"\x9f\xeb" == types.read(2)


def test_pinned_objects_have_a_place() -> None:
    """A bpffs, at the usual path."""
    assert "bpf_fs" == filesystem("/sys/fs/bpf")


def test_cgroups_are_of_version_2(make_cgroup: MakeCgroup, actor: Act) -> None:
    """Processes can be put into new ones, also below each other."""
    group = make_cgroup("outer/inner")

    inside = actor(ALICE, cgroup=group)

    assert "cgroup2fs" == filesystem("/sys/fs/cgroup")
    assert "0::/outer/inner\n" == inside.call(own_cgroup)
    assert [inside.pid] == cgroups.members(group)


def test_cgroups_go_with_all_that_is_in_them(actor: Act) -> None:
    """Processes that a test leaves in one end; nothing stays behind."""
    group = cgroups.make("left/behind")
    left = actor(cgroup=group)

    cgroups.remove(group.parent)

    assert not group.parent.exists()
    assert -signal.SIGKILL == left.end()


@pytest.mark.parametrize("who", [ALICE, NO_NAME], ids=["with a name", "with a number only"])
def test_actors_are_ordinary_users(actor: Act, who: Person | int) -> None:
    """They have no other ids left, and none of root's powers, but what a login has: a look at themselves."""
    uid = who if isinstance(who, int) else who.uid
    someone = actor(who, groups=(7,))

    assert [*[uid] * 6, 7] == someone.call(own_ids)
    assert [] != someone.call(own_descriptors)
    with pytest.raises(PermissionError):
        someone.call(mount_tmpfs)


def test_actors_are_told_apart(actor: Act) -> None:
    """Each has its process, and does calls of its own while the others wait."""
    first, second = actor(), actor()

    first.begin(own_ids)

    assert first.pid != second.pid
    assert second.call(own_ids) == first.outcome()


def test_actors_get_descriptors(actor: Act) -> None:
    """What a test passes on is open in the actor."""
    memory = os.memfd_create("memory")
    os.write(memory, b"12345")

    assert 5 == actor(ALICE).call(size_of, descriptors=(memory,))


def test_other_failures_of_actors_show(actor: Act) -> None:
    """A mistake in a test isn't taken for a refusal."""
    with pytest.raises(ActorFailed, match="ValueError: this went wrong"):
        actor().call(fail_otherwise)


def test_ordinary_users_can_be_root_of_a_namespace(actor: Act) -> None:
    """An attacker who is root there may mount, and is nobody else outside."""
    attacker = actor(ALICE, namespace=True)
    outside = os.readlink("/proc/self/ns/user")

    inside, mapped = attacker.call(own_user_namespace)

    assert outside != inside
    assert str(ALICE.uid) == mapped
    assert attacker.call(mount_tmpfs)
    assert not os.path.ismount("/mnt")


def test_ordinary_users_can_open_dev_fuse(actor: Act) -> None:
    """As on any Debian."""
    assert actor(ALICE).call(open_fuse)


def test_users_have_names(cast: Cast) -> None:
    """Commands run as them."""
    for who in EVERYBODY:
        process = cast.start(cast.command(["id", "-u"], who.name))

        assert f"{who.uid}\n" == process.communicate()[0]


@pytest.mark.parametrize(
    ("user", "namespace"),
    [
        pytest.param(None, False, id="as root"),
        pytest.param(ALICE.name, True, id="as an ordinary user in a namespace"),
    ],
)
def test_an_instance_can_be_used(running_instance: Start, user: str | None, namespace: bool) -> None:
    """A descriptor that is stashed by number comes back through `exec`.

    Without the kernel's part, which would let nobody join the server's namespaces by its number.
    """
    instance = running_instance(user=user, namespace=namespace, arguments=["--enforcement", "daemon"])
    fdstorefs = f"{sys.executable} -m fdstorefs --at {instance.mount}"
    script = f"exec 5</etc/passwd; echo 5 >{instance.mount}/p; exec {fdstorefs} exec --stdin p -- head -n 1"

    done = instance.run(["bash", "-ec", script], timeout=120)

    assert (0, "") == (done.returncode, done.stderr)
    assert Path("/etc/passwd").read_text().splitlines()[0] == done.stdout.rstrip("\n")
    assert 0 == instance.stop(), instance.said()
    assert [] == mounted_below(instance.mount)


def test_writing_here_changes_nothing_outside() -> None:
    """The clone is a layer that memory lies over."""
    here = Path(__file__).parent

    assert "overlayfs" == filesystem(str(here))
    assert ["root"] == [
        m.split()[0] for m in Path("/proc/mounts").read_text().splitlines() if m.split()[1] == "/"
    ]
