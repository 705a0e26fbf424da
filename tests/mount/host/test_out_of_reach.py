"""A container can neither see nor end nor look into the processes of its instance."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.host.container import Container
from tests.mount.host.service import Service, namespace_of

EPERM, ESRCH, EINVAL, EACCES = 1, 3, 22, 13

_PIDFD_OF_THE_SERVER = (
    "with socket.socket(socket.AF_UNIX) as s:\n"
    "    s.connect('/run/fdstore/.fdstore')\n"
    "    pidfd = s.getsockopt(socket.SOL_SOCKET, 77)\n"
)
_SYSCALL = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
_RAISE = "if result < 0: raise OSError(ctypes.get_errno(), 'refused')\n"

USERS = [None, "daemon"]
"""Root's container, and an ordinary user's own, whose service, keeper and server are of the container's very uid."""


@pytest.mark.parametrize("user", USERS)
def test_it_is_not_in_the_containers_proc(
    service: Callable[..., Service], container: Callable[..., Container], user: str | None
) -> None:
    """The container's /proc shows its own processes alone."""
    inside = container(user)
    before = inside.ask("sorted(filter(str.isdecimal, os.listdir('/proc')))")
    service(user).start(inside)

    assert before == inside.ask("sorted(filter(str.isdecimal, os.listdir('/proc')))")


@pytest.mark.parametrize("user", USERS)
def test_its_numbers_lead_nowhere(
    service: Callable[..., Service], container: Callable[..., Container], user: str | None
) -> None:
    """Even who knows the numbers cannot send a signal or get hold of a process by them."""
    inside = container(user)
    started = service(user).start(inside)

    for pid in (started.keeper, started.server):
        assert ESRCH == inside.errno_of(f"os.kill({pid}, 9)")
        assert ESRCH == inside.errno_of(f"os.pidfd_open({pid})")


@pytest.mark.parametrize("user", USERS)
def test_a_signal_to_everybody_does_not_reach_it(
    service: Callable[..., Service], container: Callable[..., Container], user: str | None
) -> None:
    """kill(-1) ends all of the container but its first process, and nothing of the instance."""
    host, inside = service(user), container(user)
    started = host.start(inside)
    inside.errno_of("os.kill(-1, 9)")
    inside.stash("kept", "a word")

    assert [started] == host.instances()


@pytest.mark.parametrize("user", USERS)
def test_the_servers_pidfd_is_of_no_use(
    service: Callable[..., Service], container: Callable[..., Container], user: str | None
) -> None:
    """Whoever connects may ask the kernel for a pidfd of the server; it lets nobody signal, trace, enter or copy."""
    inside = container(user)
    service(user).start(inside)
    if inside.errno_of(_PIDFD_OF_THE_SERVER):
        pytest.skip("this kernel gives no pidfd of a peer (Linux 6.5)")
    inside.run(_SYSCALL)
    getfd = "result = libc.syscall(438, pidfd, 0, 0)\n" + _RAISE

    assert EINVAL == inside.errno_of("import signal; signal.pidfd_send_signal(pidfd, 9)")
    assert EPERM == inside.errno_of(getfd)
    for kind in (0x2000_0000, 0x0002_0000, 0x1000_0000):
        setns = f"result = libc.setns(pidfd, {kind})\n" + _RAISE

        assert EPERM == inside.errno_of(setns)


def test_where_the_hosts_processes_are_visible_it_is_closed_all_the_same(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """A container in the host's pid namespace cannot look into keeper or server; the server alone it can end."""
    host, inside = service(), container(pids=False)
    started = host.start(inside)
    inside.run(_SYSCALL)
    attach = "result = libc.ptrace(16, {}, 0, 0)\n" + _RAISE
    copy = "result = libc.syscall(438, os.pidfd_open({}), 0, 0)\n" + _RAISE

    for pid in (started.keeper, started.server):
        assert EPERM == inside.errno_of(attach.format(pid))
        assert EPERM == inside.errno_of(copy.format(pid))
        assert EACCES == inside.errno_of(f"open('/proc/{pid}/mem', 'rb')")
        assert EACCES == inside.errno_of(f"os.listdir('/proc/{pid}/fd')")
    assert EPERM == inside.errno_of(f"os.kill({started.keeper}, 9)")


@pytest.mark.parametrize("user", USERS)
def test_it_is_in_the_hosts_mount_and_pid_namespaces(
    service: Callable[..., Service], container: Callable[..., Container], user: str | None
) -> None:
    """Keeper and server are where the service is, but the server has the container's users."""
    host, inside = service(user), container(user)
    started = host.start(inside)

    for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        ours = namespace_of(host.pid, kind)

        assert [ours, ours] == [namespace_of(pid, kind) for pid in (started.keeper, started.server or 0)]
    assert namespace_of(host.pid, "user") == namespace_of(started.keeper, "user")
    assert namespace_of(inside.pid, "user") == namespace_of(started.server or 0, "user")


@pytest.mark.parametrize("user", USERS)
def test_the_server_has_the_rights_of_the_containers_root(
    service: Callable[..., Service], container: Callable[..., Container], user: str | None
) -> None:
    """Its uid and gid are those that the container's root has on the host, and it has no groups of root's."""
    inside = container(user)
    started = service(user).start(inside)
    status = Path(f"/proc/{started.server}/status").read_text()
    uids = status.partition("\nUid:\t")[2].splitlines()[0].split()

    assert [str(inside.host_root)] * 4 == uids
    if user is None:
        assert "" == status.partition("\nGroups:")[2].splitlines()[0].strip()


def test_the_keeper_has_the_rights_of_the_service(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Nobody in the container can be it."""
    started = service().start(container())

    assert os.geteuid() == os.stat(f"/proc/{started.keeper}").st_uid
