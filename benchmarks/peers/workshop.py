"""The place a suite works in: a scratch directory, servers and clients, and everything gone at the end."""

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers.cgroup import Cgroup, hierarchy
from benchmarks.peers.client import Client
from benchmarks.peers.process import Process
from benchmarks.peers.programs import build


class Instance:
    """A running fdstorefs; `mount` is its directory."""

    def __init__(self, mount: Path, complaints: Path, arguments: Sequence[str] = ()) -> None:
        mount.mkdir()
        self.mount = mount
        command = [
            sys.executable,
            "-m",
            "fdstorefs",
            "serve",
            str(mount),
            "--ready-fd",
            "{ready}",
            *arguments,
        ]
        self.process = Process(command, complaints)

    @property
    def socket(self) -> Path:
        """The socket that its clients connect to."""
        return self.mount / ".fdstore"

    def end(self) -> None:
        """End it; the mount goes too, even if the server does not."""
        self.process.end()
        unmount(self.mount)


def unmount(mount: Path) -> None:
    """Take away what may still be mounted there."""
    if any(line.split()[1] == str(mount) for line in Path("/proc/mounts").read_text().splitlines()):
        subprocess.run(["umount", "--lazy", str(mount)], check=False)


class Workshop:
    """Starts what a suite needs; a context manager that ends all of it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._numbers = itertools.count()
        self.scratch = Path(tempfile.mkdtemp(prefix="fdbench-"))
        self._stack.callback(shutil.rmtree, self.scratch)
        self._cgroup = self._make_cgroup()

    def __enter__(self) -> Self:
        try:
            self._programs = build(self.scratch)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _make_cgroup(self) -> Cgroup | None:
        where = hierarchy()
        if where is None:
            return None
        cgroup = Cgroup(where)
        self._stack.callback(cgroup.remove)
        return cgroup

    def path(self, name: str) -> Path:
        """A new path in the scratch directory, short enough for a socket."""
        return self.scratch / f"{name}{next(self._numbers)}"

    def instance(self, arguments: Sequence[str] = ()) -> Instance:
        """A new instance of fdstorefs, with these arguments to `serve`."""
        instance = Instance(self.path("m"), self.path("said"), arguments)
        self._stack.callback(instance.end)
        return instance

    def s6(self, descriptors: int) -> tuple[Path, Process]:
        """A new s6-fdholderd with room for so many; its socket, and its process. Root may do everything."""
        socket, rules = self.path("s"), self._rules()
        # Its readiness notification is a newline on descriptor 1.
        command = ["s6-fdholder-daemon", "-1", "-n", str(descriptors), "-i", str(rules), str(socket)]
        return socket, self.keep(Process(command, self.path("said")))

    def _rules(self) -> Path:
        """Rules by which everybody may do everything: a file each, named like the variables they set."""
        rules = self.path("rules")
        environment = rules / "uid" / "default" / "env"
        environment.mkdir(parents=True)
        (environment.parent / "allow").touch()
        for right in ("STORE_REGEX", "RETRIEVE_REGEX"):
            (environment / f"S6_FDHOLDER_{right}").write_text("^\n")
        for right in ("LIST", "GETDUMP"):
            (environment / f"S6_FDHOLDER_{right}").write_text("1\n")
        return rules

    def floor(self) -> Path:
        """A new C server that only answers; its socket."""
        socket = self.path("s")
        self.keep(Process([self._programs["floor"], "serve", socket], self.path("said")))
        return socket

    def bare_mount(self) -> Path:
        """A new file system of nothing but pyfuse3; its directory."""
        mount = self.path("b")
        mount.mkdir()
        command = [sys.executable, "-m", "benchmarks.peers.bare_mount", str(mount), "{ready}"]
        self._stack.callback(unmount, mount)
        self.keep(Process(command, self.path("said")))
        return mount

    def tmpfs(self) -> Path:
        """A new tmpfs; its directory."""
        mount = self.path("t")
        mount.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "bench", str(mount)], check=True)
        self._stack.callback(unmount, mount)
        return mount

    def keep(self, process: Process) -> Process:
        """End this process when the workshop closes."""
        self._stack.callback(process.end)
        return process

    def client(self, program: str, *arguments: str | Path) -> Client:
        """A measuring client in C."""
        return self._client([self._programs[program], *arguments])

    def python_client(self, mount: Path) -> Client:
        """The measuring client in Python."""
        return self._client([sys.executable, "-m", "benchmarks.peers.python_client", mount])

    def _client(self, command: Sequence[str | Path]) -> Client:
        client = self._stack.enter_context(Client(command, self.path("said")))
        if self._cgroup is not None:
            self._cgroup.add(client.pid)
        return client
