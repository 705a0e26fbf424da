"""A store that is served on a Unix socket by a thread of the test's own process: real parts, no mount."""

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from fdstorefs.core.access import Check, Checked, mode_bits
from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server.context import Context
from fdstorefs.server.intake import Intake
from fdstorefs.server.loop import Loop
from fdstorefs.server.record import Records
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink import VarlinkServer, serve

T = TypeVar("T")
PATIENCE = 20.0
STATUS = {
    "version": "0",
    "mount": "/nowhere",
    "policyStatus": {},
    "entries": 0,
    "descriptors": 0,
    "connections": 0,
}


class ServedStore:
    """Serves at `path` until `close`. `ask` runs something in the server's thread."""

    def __init__(
        self,
        path: str,
        *,
        limit: int = 4096,
        limits: Limits | None = None,
        authority: Check = mode_bits,
        mode: int = 0o1777,
    ) -> None:
        self.path = path
        self.descriptors = Descriptors()
        self.loop = Loop()
        self.store = Store(
            uid=os.geteuid(),
            gid=os.getegid(),
            clock=time.time_ns,
            mode=mode,
            limits=limits,
            authority=Checked(authority),
        )
        intake = Intake(self.descriptors, RecursionGuard(None, os.getpid()), limit)
        self.context = Context(
            self.loop, self.store, intake, Subjects(), Records(self.store), lambda: dict(STATUS)
        )
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(path)
        os.chmod(path, 0o777)
        self._listening.listen(64)
        self.server: VarlinkServer = serve(self.context, self._listening)
        self._thread = threading.Thread(target=self.loop.run)
        self._thread.start()

    def ask(self, question: Callable[[], T]) -> T:
        """Call `question` in the server's thread and return its answer."""
        answers: list[T | BaseException] = []
        answered = threading.Event()

        def put() -> None:
            try:
                answers.append(question())
            except BaseException as error:  # noqa: BLE001  raised again below
                answers.append(error)
            answered.set()

        self.loop.post(put)
        assert answered.wait(PATIENCE), "the server does not answer"
        if isinstance(answers[0], BaseException):
            raise answers[0]
        return answers[0]

    def close(self) -> None:
        """End the server, its thread and its sockets, and let go of all that is stored."""
        self.ask(self.server.close)
        self.ask(self._discard_everything)
        self.loop.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.loop.close()
        self._listening.close()
        assert self.descriptors.drain(PATIENCE) == 0

    def _discard_everything(self) -> None:
        for node in tuple(self.store.tree.nodes.values()):
            file = getattr(node, "file", None)
            if file is not None:
                node.file = None  # type: ignore[union-attr]  # it has a file, so it is an entry
                file.drop()

    def status(self, **more: Any) -> dict[str, Any]:
        """What the server answers to Status."""
        return {**STATUS, **more}
