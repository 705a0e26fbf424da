"""A running instance, as a test sees it."""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fdstorefs.server.mounting import unmount
from tests.mount.cast import REPOSITORY, STOP_SECONDS, Cast, Process, group_is_gone, kill_group, mounted_below
from tests.mount.waiting import wait_for


@dataclass
class Instance:
    """Keeper and server: where it is mounted, who runs it, whether it has namespaces of its own, and a way in.

    `process` is the keeper, which the server is a child of; with `--no-keeper` it is the server.
    """

    mount: str
    process: Process
    user: str | None
    namespace: bool
    cast: Cast
    log: IO[str]
    _killed: bool = field(default=False, init=False)

    @property
    def pid(self) -> int:
        """The server's process id, as everybody outside sees it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next((int(child) for child in children if _minds_sigterm(child)), self.process.pid)

    def popen(self, argv: Sequence[str], *, user: str | None = None, **popen: Any) -> Process:
        """Start a process where the instance is visible, as its user or as another one."""
        return self.cast.start(self._inside(argv, user or self.user), **popen)

    def run(
        self, argv: Sequence[str], *, user: str | None = None, timeout: float = 30, **popen: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command there to its end."""
        process = self.popen(argv, user=user, **popen)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit status (negative: died of that signal).

        What cannot be passed on, keeper and server get at once.
        """
        if self.process.poll() is None:
            self._killed = how == signal.SIGKILL
            if self._killed:
                os.killpg(self.process.pid, how)
            else:
                self.process.send_signal(how)
        status = self.process.wait(STOP_SECONDS)
        if self._killed:
            wait_for(lambda: group_is_gone(self.process.pid), 5, "keeper and server to be gone")
        return status

    def said(self) -> str:
        """Everything that the server has printed so far."""
        self.log.seek(0)
        return self.log.read()

    def end(self) -> None:
        """Stop the server and take away what it left, but fail if that was a process or a mount."""
        try:
            self.stop()
            if not group_is_gone(self.process.pid):
                # The keeper that we started was killed, and the instance goes on without it.
                os.killpg(self.process.pid, signal.SIGTERM)
            wait_for(lambda: group_is_gone(self.process.pid), 5, "the server's children to end")
        finally:
            kill_group(self.process)
            left = mounted_below(self.mount)
            for mount in left:
                unmount(mount, lazy=True)
        assert not left or self._killed, f"the server left its mount behind:\n{self.said()}"

    def _inside(self, argv: Sequence[str], user: str | None) -> list[str]:
        target = ["nsenter", "--target", str(self.process.pid)]
        into_mounts = ["--mount", f"--wdns={REPOSITORY}"]
        into_users = ["--user", "--preserve-credentials"]
        if os.geteuid() != 0:
            return [*target, *into_users, *into_mounts, "--", *argv] if self.namespace else list(argv)
        inner = [*target, *into_users, "--", *argv] if self.namespace else argv
        return [*target, *into_mounts, "--", *self.cast.command(inner, user)]


def _minds_sigterm(pid: str) -> bool:
    """As a server does from its start, and the keeper's spare doesn't."""
    try:
        status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    except (FileNotFoundError, ProcessLookupError):
        return False
    minded = int(status.get("SigBlk", "0"), 16) | int(status.get("SigCgt", "0"), 16)
    return bool(minded >> (signal.SIGTERM - 1) & 1)
