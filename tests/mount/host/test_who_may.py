"""Who may have an instance started for a container: whoever may do everything in its user namespace."""

import pwd
from collections.abc import Callable

import pytest

from tests.mount.cast import ORDINARY_USER
from tests.mount.host.container import Container
from tests.mount.host.service import Service

OTHER_USER = "games"
DENIED = 3

_UNSHARE_USERS = (
    "import ctypes; libc = ctypes.CDLL(None)\n"
    "libc.prctl(4, 1)\n"  # PR_SET_DUMPABLE, else the map is root's to write
    "assert not libc.unshare(0x1000_0000)\n"
    "with open('/proc/self/uid_map', 'w') as users: users.write('0 1000 1')"
)
_DROP_CAPABILITIES = (
    "import ctypes\n"
    "header = (ctypes.c_uint32 * 2)(0x2008_0522)\n"
    "assert not ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())"
)


def test_root_may_for_any(service: Callable[..., Service], container: Callable[..., Container]) -> None:
    """Its own containers, and other users'."""
    host = service()

    assert "/run/fdstore" == host.start(container()).mount
    assert "/run/fdstore" == host.start(container(ORDINARY_USER)).mount


def test_a_user_may_for_his_own(service: Callable[..., Service], container: Callable[..., Container]) -> None:
    """For a container whose user namespace he has made."""
    host, inside = service(), container(ORDINARY_USER)
    asked = host.ask("start", "--pid", str(inside.pid), user=ORDINARY_USER)

    assert (0, "") == (asked.returncode, asked.stderr)
    inside.stash("kept", "a word")
    assert [pwd.getpwnam(ORDINARY_USER).pw_uid] == [each.uid for each in host.instances()]


@pytest.mark.parametrize("owner", [None, OTHER_USER], ids=["root's", "another user's"])
def test_a_user_may_not_for_others(
    service: Callable[..., Service], container: Callable[..., Container], owner: str | None
) -> None:
    """Neither start nor end nor see one."""
    host, inside = service(), container(owner)
    started = host.ask("start", "--pid", str(inside.pid), user=ORDINARY_USER)
    host.start(inside)
    stopped = host.ask("stop", "--pid", str(inside.pid), user=ORDINARY_USER)
    listed = host.ask("list", "--json", user=ORDINARY_USER)

    assert (DENIED, DENIED) == (started.returncode, stopped.returncode)
    assert "[]\n" == listed.stdout
    assert inside.is_mounted()


def test_root_of_a_container_may_for_it(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """From within, naming nothing."""
    host, inside = service(), container()
    ask(inside, host)

    assert inside.is_mounted()


def test_another_user_in_a_container_may_not(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Else he could have something mounted over what is root's there."""
    host, inside = service(), container()
    inside.run("os.setresuid(1000, 1000, 1000)")

    assert "io.fdstorefs.Host.Denied" == ask(inside, host)


def test_another_user_in_a_container_may_not_by_a_user_namespace_of_his(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """He is root in there, and still in the mount namespace that is root's."""
    host, inside, other = service(), container(), container()
    host.start(inside)
    for each in (inside, other):
        each.run("os.setresuid(1000, 1000, 1000)\n" + _UNSHARE_USERS)

    assert "io.fdstorefs.Host.Denied" == ask(inside, host, verb="Stop")
    assert "io.fdstorefs.Host.Denied" == ask(inside, host)
    assert "io.fdstorefs.Host.Denied" == ask(other, host)
    assert [inside.pid] == [each.first for each in host.instances()]


def test_a_container_of_the_hosts_root_may_not_without_his_power(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Whose uid is 0, as everywhere without user namespaces, and who may do nothing."""
    host, inside = service(), container(users=False)
    inside.run(_DROP_CAPABILITIES)

    assert "io.fdstorefs.Host.Denied" == ask(inside, host)


def test_root_of_one_container_may_not_for_another(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Not even where both have the same users on the host."""
    host, one, other = service(), container(pids=False), container(pids=False)

    assert "io.fdstorefs.Host.Denied" == ask(one, host, other.pid)
    assert not other.is_mounted()


def test_a_user_serves_his_own_containers(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """Without root anywhere."""
    host, inside = service(ORDINARY_USER), container(ORDINARY_USER)
    asked = host.ask("start", "--pid", str(inside.pid), user=ORDINARY_USER)
    inside.stash("kept", "a word")

    assert (0, "") == (asked.returncode, asked.stderr)
    assert "a word" == inside.read("kept")
    inside.end()


def test_a_users_service_does_nothing_for_others(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """It has no rights there."""
    host, inside = service(ORDINARY_USER), container(OTHER_USER)
    asked = host.ask("start", "--pid", str(inside.pid), user=ORDINARY_USER)

    assert 0 != asked.returncode
    assert not inside.is_mounted()


def ask(inside: Container, host: Service, pid: int | None = None, verb: str = "Start") -> str | None:
    """Have the container's process ask by itself, for a process that it sees; the error that is the answer."""
    process = "" if pid is None else '"process":0'
    rights = (
        ""
        if pid is None
        else f"(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.pidfd_open({pid})]))"
    )
    error: str | None = inside.run(
        "import array, json\n"
        "with socket.socket(socket.AF_UNIX) as s:\n"
        f"    s.connect({host.socket!r})\n"
        f'    s.sendmsg([b\'{{"method":"io.fdstorefs.Host.{verb}","parameters":{{{process}}}}}\\0\'], [{rights}])\n'
        "    said = b''\n"
        "    while not said.endswith(b'\\0'): said += s.recv(65536)\n"
        "answer = json.loads(said[:-1]).get('error')"
    )
    return error
