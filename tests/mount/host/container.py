"""A container of real namespaces, as a test has one made and speaks to it."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.mount.cast import Cast

FIRST_UID = 200_000
"""What the container's uid 0 is on the host; it has 65,536."""


class Inside(Exception):
    """What was raised in the container."""

    def __init__(self, kind: str, code: int | None, said: str) -> None:
        super().__init__(f"{kind}: {said}")
        self.kind = kind
        self.errno = code


class Container:
    """One process that does what it is told, in namespaces of its own. `pid` is its number on the host.

    Root's containers have users of their own, as of `first_uid`, unless they share the host's; an ordinary user's have
    him for their root.
    """

    def __init__(
        self,
        cast: Cast,
        *,
        user: str | None = None,
        first_uid: int = FIRST_UID,
        users: bool = True,
        pids: bool = True,
    ) -> None:
        told = json.dumps({"users": users, "pids": pids})
        argv = [sys.executable, "-m", "tests.mount.host.container_init", told]
        self.process = cast.start(
            cast.command(argv, user), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
        )
        self.pid = int(self._read())
        if users:
            self._map(user, first_uid)
        self._write("")
        if pids:
            self.pid = int(self._read())
        self.run("import os, socket")

    def _map(self, user: str | None, first_uid: int) -> None:
        place = Path(f"/proc/{self.pid}")
        status = (place / "status").read_text()
        of_root = os.geteuid() == 0 and user is None
        (place / "setgroups").write_text("allow" if of_root else "deny")
        for kind in ("Uid", "Gid"):
            own = status.partition(f"\n{kind}:\t")[2].split()[0]
            (place / f"{kind.lower()}_map").write_text(f"0 {first_uid} 65536" if of_root else f"0 {own} 1")

    def run(self, statements: str) -> Any:
        """Execute statements in it, and give what they have set `answer` to. Raises Inside."""
        self._write(json.dumps(statements))
        told = json.loads(self._read())
        if "error" in told:
            raise Inside(told["error"], told["errno"], told["said"])
        return told["answer"]

    def ask(self, expression: str) -> Any:
        """The value of an expression in it. Raises Inside."""
        return self.run(f"answer = {expression}")

    def stash(self, name: str, text: str, at: str = "/run/fdstore") -> None:
        """Stash a file with this content."""
        self.run(
            f"fd = os.memfd_create('kept'); os.write(fd, {text.encode()!r}); os.lseek(fd, 0, 0)\n"
            f"with open({f'{at}/{name}'!r}, 'w') as entry: entry.write(str(fd))\n"
            "os.close(fd)"
        )

    def read(self, name: str, at: str = "/run/fdstore") -> str:
        """What is in a stored file, which is read to its end by this."""
        text: str = self.run(f"with open({f'{at}/{name}'!r}) as entry: answer = entry.read()")
        return text

    def entries(self, at: str = "/run/fdstore") -> list[str]:
        """The names of what is stored."""
        return sorted(set(self.ask(f"os.listdir({at!r})")) - {".fdstore"})

    def mounts(self, at: str = "/run/fdstore") -> int:
        """How many instances, dead ones too, are mounted there, one over the other."""
        table: str = self.ask("open('/proc/self/mountinfo').read()")
        return sum(line.split()[4] == at and " fuse.fdstorefs " in line for line in table.splitlines())

    def is_mounted(self, at: str = "/run/fdstore") -> bool:
        """Whether an instance, dead or not, is mounted there."""
        return self.mounts(at) > 0

    def errno_of(self, statements: str) -> int:
        """The error that these statements end with, 0 if they don't."""
        try:
            self.run(statements)
        except Inside as error:
            return error.errno or errno.EINVAL
        return 0

    def end(self) -> None:
        """End it, and wait until nothing of it runs any more."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(10)

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    @property
    def host_root(self) -> int:
        """What its uid 0 is on the host."""
        return int(Path(f"/proc/{self.pid}/uid_map").read_text().split()[1])

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the container has ended"
        return line
