"""A mount, as its clients see it, whose server can be followed by another."""

import subprocess
from typing import Any

from fdstorefs.host import procfs
from tests.mount.fuse.mounted_store import Client, MountedStore, serving
from tests.mount.waiting import wait_for


class Succession(MountedStore):
    """The mount at `root`, and one server after the other."""

    def succeed(self) -> None:
        """Have another process take over."""
        assert self._ask("succeed") == "succeeded"

    def fail(self) -> None:
        """Have another process be told everything, and die."""
        assert self._ask("fail") == "went on"

    def confuse(self, key: str) -> str:
        """Have another process be told nonsense; what it says to that."""
        return self._ask(f"confuse {key}").removeprefix("refused: ")

    def client_of(self, argv: list[str], **popen: Any) -> Client:
        """Start any other client; it is killed after the test."""
        process: Client = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **popen)
        self.clients.append(process)
        return process

    @property
    def socket(self) -> str:
        """Where clients connect."""
        return self.path(".fdstore")

    def _take_away(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.stdout.read() == ""  # the last server has ended
        self._process.wait(5)
        wait_for(lambda: all(mount.mount_point != self.root for mount in procfs.mounts().mounts))


def start(root: str, *arguments: object, **popen: Any) -> Succession:
    """Serve a mount at `root` in a new process."""
    return Succession(root, serving("tests.mount.handover.serving", root, *arguments, **popen))
