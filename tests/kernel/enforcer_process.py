"""The host's enforcer: a real `fdstorefs enforce`, with its own directory of policies and its own audit log."""

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from fdstorefs.bpf.kernel import switch_off
from fdstorefs.client import enforcer as client
from fdstorefs.client.enforcer import HostStatus
from fdstorefs.enforcer.options import PINS, SOCKET
from tests.kernel.actor import Actor
from tests.kernel.command_process import CommandProcess
from tests.kernel.kernel_log import KernelLog
from tests.mount.policies import write


class EnforcerProcess:
    """The process, and what it goes by. `new_actor()` is somebody to become it: root, outside of all groups."""

    def __init__(self, new_actor: Callable[[], Actor]) -> None:
        self._new_actor = new_actor
        self._place = tempfile.TemporaryDirectory(prefix="enforcer-", dir="/run")
        self.policies = Path(self._place.name) / "policies"
        self.policies.mkdir()
        self.audit = Path(self._place.name) / "audit.jsonl"
        self._process: CommandProcess | None = None

    # The process

    def start(self, *options: str) -> None:
        """Start it; returns when the policies are in force. What a former one left pinned it takes over."""
        arguments = ["enforce", "--policy", str(self.policies), "--audit", f"file:{self.audit}"]
        self._process = CommandProcess(self._new_actor(), [*arguments, "--audit-fsync", "never", *options])
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    def kill(self) -> None:
        """Kill it, as `kill -9` does. What is in force stays."""
        self._running.end()
        self._process = None

    def stop(self) -> int:
        """End it in order, and return its exit code. What is in force stays."""
        process = self._running
        process.signal(signal.SIGTERM)
        code = process.outcome()
        self.kill()
        return code

    def switch_off(self) -> None:
        """End it, and all enforcement; and take its directory away."""
        if self._process is not None:
            self.kill()
        switch_off(PINS)
        self._place.cleanup()

    def said(self) -> str:
        """Everything that it has printed since it was started."""
        return self._running.said()

    @property
    def _running(self) -> CommandProcess:
        assert self._process is not None, "the enforcer doesn't run"
        return self._process

    # Policies

    def put(self, name: str, text: str) -> int:
        """Put a policy in force, or another text for it; returns the generation that has it.

        Raises BadPolicy, and what was in force stays.
        """
        write(self.policies / f"{name}.yaml", text)
        return self.load()

    def remove(self, name: str) -> int:
        """Put a policy out of force."""
        (self.policies / f"{name}.yaml").unlink()
        return self.load()

    def load(self) -> int:
        """Have the files as they are now put in force; returns the generation."""
        return client.load([], SOCKET).generation

    # What it says

    def status(self) -> HostStatus:
        """What is in force."""
        return client.status(SOCKET)

    def log(self) -> KernelLog:
        """Its audit log from this moment on."""
        return KernelLog(self.audit)
