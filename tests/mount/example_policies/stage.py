"""A stage for examples: a user namespace with many users, a cgroup namespace with services, a process for each role.

Inside, the cgroups are called what policies call them (`/system.slice/nginx.service`), whatever the host has of that
name: the cgroup namespace begins at a cgroup of our own.
"""

import ast
import os
import pwd
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fdstorefs.host import cgroups, procfs
from tests.mount.cast import REPOSITORY
from tests.mount.driven_process import DrivenProcess
from tests.mount.waiting import wait_for

HOUSE_FLAGS = 0x1000_0000 | 0x0200_0000 | 0x0002_0000  # CLONE_NEWUSER, CLONE_NEWCGROUP, CLONE_NEWNS
USERS = 65536
ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
MOUNT_CGROUPS = "mount --make-rprivate / && mount -t cgroup2 cgroup2 "


class Actor(DrivenProcess):
    """A process of the stage that uses instances."""

    def __init__(self, prefix: Sequence[str]) -> None:
        super().__init__(prefix=prefix)
        self.do(f"sys.path[:] = {sys.path!r}")
        self.do("from tests.mount.example_policies import doors")

    def ask(self, expression: str) -> object:
        """The value of an expression of literals, in that process."""
        said = self.say(f"print(ascii({expression}), flush=True)")
        self._await_done()
        return ast.literal_eval(said)

    def _await_done(self) -> None:
        assert self.process.stdout is not None
        assert "done\n" == self.process.stdout.readline()


class Role:
    """An actor before one instance."""

    def __init__(self, actor: Actor, mount: str) -> None:
        self.actor = actor
        self._mount = mount

    def __call__(self, door: str, action: str, *arguments: object, **options: object) -> object:
        """What came of doing something through a door: `done` or the name of an errno."""
        words = [repr(word) for word in (door, self._mount, action, *arguments)]
        named = [f"{name}={value!r}" for name, value in options.items()]
        return self.actor.ask(f"doors.use({', '.join([*words, *named])})")

    def prepares(self, action: str, *arguments: object, **options: object) -> None:
        """Do something that must succeed, through the socket."""
        assert "done" == self("socket", action, *arguments, **options)


class Stage:
    """The namespaces, and the actors that there are so far. `hierarchy` is where we see its cgroups.

    What begins with `/../` is a cgroup beside the one that the cgroup namespace begins at.
    """

    def __init__(self, stack: ExitStack, top: str) -> None:
        self._stack = stack
        self.hierarchy = f"{top}/inside"
        os.mkdir(self.hierarchy)
        self.cgroups_inside = "/sys/fs/cgroup"
        self._actors: dict[object, Actor] = {}
        self._house = DrivenProcess(prefix=entering(self.hierarchy))
        stack.callback(self._house.end)
        self._house.do(f"import ctypes; assert ctypes.CDLL(None).unshare({HOUSE_FLAGS}) == 0")
        for kind in ("uid", "gid"):
            Path(f"/proc/{self._house.pid}/{kind}_map").write_text(f"0 0 {USERS}")
        self._house.do(f"assert os.system({MOUNT_CGROUPS + self.cgroups_inside!r}) == 0")

    def cgroup(self, path: str) -> str:
        """The directory of a cgroup of the stage, which is made if need be."""
        directory = self.hierarchy + path.rstrip("/")
        os.makedirs(directory, exist_ok=True)
        return directory

    def inside(self, cgroup: str = "/") -> list[str]:
        """The command line prefix that goes to a cgroup and then into all namespaces."""
        into = ["nsenter", "--target", str(self._house.pid), "--user", "--mount", "--cgroup"]
        return [*entering(self.cgroup(cgroup)), *into, f"--wdns={REPOSITORY}", "--"]

    def actor(
        self,
        user: str | int = "root",
        cgroup: str = "/user.slice",
        *,
        can: Sequence[str] = (),
        container: str = "",
    ) -> Actor:
        """The process of a user in a cgroup, with these capabilities (root: with all).

        With `container` it is in a user namespace below, one of its own for each name.
        """
        key = (user, cgroup, tuple(can), container)
        if key not in self._actors:
            into_container = ["unshare", "--user", "--map-current-user", "--"] if container else []
            self._actors[key] = self._new([*self.inside(cgroup), *becoming(user, can), *into_container])
        return self._actors[key]

    def new_actor(self, user: str | int, cgroup: str) -> Actor:
        """One more process like that."""
        return self._new([*self.inside(cgroup), *becoming(user, ())])

    def _new(self, prefix: Sequence[str]) -> Actor:
        actor = Actor(prefix)
        self._stack.callback(actor.end)
        return actor


def entering(directory: str) -> list[str]:
    """The command line prefix that moves to a cgroup."""
    return ["sh", "-c", ENTER, directory]


def becoming(user: str | int, can: Sequence[str]) -> list[str]:
    """The command line prefix that becomes a user who has some capabilities."""
    uid = pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
    if uid == 0:
        return []
    ids = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    named = ",".join(["-all", *(f"+{name}" for name in can)])
    return ["setpriv", *ids, f"--inh-caps={named}", f"--ambient-caps={named}", "--"]


@contextmanager
def new_stage() -> Iterator[Stage]:
    """Set it up. At the end nothing is left of it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become several users, and make cgroups for them")
    hierarchy = cgroups.find_hierarchy(procfs.mounts())
    if hierarchy is None or not os.access(hierarchy, os.W_OK):
        pytest.skip("needs a writable cgroup2 hierarchy")
    top = f"{hierarchy}/fdstorefs-stage-{secrets.token_hex(6)}"
    os.mkdir(top)
    with ExitStack() as stack:
        stack.callback(_remove, top)
        yield Stage(stack, top)


def _remove(top: str) -> None:
    wait_for(lambda: "populated 0" in Path(top, "cgroup.events").read_text(), what="the stage to be empty")
    for place, _, _ in os.walk(top, topdown=False):
        os.rmdir(place)
