"""A keeper, and a server that only keeps what it is told to: every process is real, FUSE and the store are left out.

Usage: stand_in.py PATH. The server listens at PATH (SOCK_SEQPACKET); one JSON message is one command, see `_Server`.
"""

import inspect
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.program import HowToStart
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.loop import Loop

MOST = 253


class _Server:
    """The commands are its methods `do_...`; each returns what is answered."""

    def __init__(self, path: str, held: Held) -> None:
        self.path = path
        self.held = held
        self.files = dict(held.files)
        self.loop = Loop()
        self.code = 0
        self.depth = len(inspect.stack(0))
        self.line = KeeperLine(held, HowToStart(__spec__.name, "start", {"path": path}))
        self.line.everything = self.files.items
        self.line.watch(self.loop)
        self.journal = held.journal
        self.line.journal_descriptor = lambda: self.journal
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def run(self) -> int:
        if self.held.note.get("fails"):
            # What was noted is for one start to come only.
            self.line.note(fails=self.held.note["fails"] - 1)
            return 5
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listening.bind(self.path)
        self.listening.listen()
        self.loop.register(self.listening.fileno(), self._accept)
        self.loop.add_signal(15, self._on_sigterm)
        self.line.settled(guarded=False)
        self.line.ready()
        self.loop.run()
        if self.code >= 0:
            self.line.end(self.code)
        return abs(self.code)

    def _on_sigterm(self) -> None:
        self.code = 7
        self.loop.stop()

    def _accept(self, _events: int) -> None:
        client, _ = self.listening.accept()
        self.loop.register(client.fileno(), lambda _events: self._serve(client))

    def _serve(self, client: socket.socket) -> None:
        message, descriptors, _, _ = socket.recv_fds(client, 1 << 16, MOST)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        if not message:
            self.loop.unregister(client.fileno())
            client.close()
            return
        told = json.loads(message)
        answer, out = self._do(told.pop("do"), descriptors, told)
        socket.send_fds(client, [json.dumps(answer).encode()], out)

    def _do(self, what: str, descriptors: list[int], told: dict[str, Any]) -> tuple[Any, list[int]]:
        command: Callable[..., Any] = getattr(self, f"do_{what}")
        if what == "give":
            return None, [self.files[told["number"]]]
        return command(descriptors, **told), []

    def do_give(self) -> None:
        """Give a descriptor back."""

    def do_who(self, _descriptors: list[int]) -> Any:
        """The processes, what is held, and what this server was started with."""
        return {
            "server": os.getpid(),
            "keeper": self.line.pid,
            "numbers": sorted(self.files),
            "restarts": self.held.restarts,
            "died": self.held.died,
            "journal": None if self.journal is None else os.pread(self.journal, 4096, 0).decode(),
            "note": self.held.note,
            "depth": self.depth,
            "is_guarded": os.environ.get("KEEPER") == "guarded",
            "spare": self.line._spare.pid if self.line._spare is not None else None,
        }

    def do_keep(self, descriptors: list[int], numbers: list[int]) -> Any:
        """Keep what came along."""
        self.line.keep(numbers, descriptors)
        self.files.update(zip(numbers, descriptors, strict=True))

    def do_drop(self, _descriptors: list[int], numbers: list[int], slow: bool = False) -> Any:
        """Keep it no longer."""
        self.line.drop(numbers, slow)
        for number in numbers:
            os.close(self.files.pop(number))

    def do_journal(self, descriptors: list[int]) -> Any:
        """Have this as the journal."""
        self.line.journal(descriptors[0])
        self.journal = descriptors[0]

    def do_note(self, _descriptors: list[int], **told: Any) -> Any:
        """Leave a note."""
        self.line.note(**told)

    def do_settle(self, _descriptors: list[int], guarded: bool) -> Any:
        """Say whether the kernel guards the keeper."""
        self.line.settled(guarded=guarded)

    def do_die_after_keeping(self, descriptors: list[int], number: int) -> Any:
        """Die before the keeper has had time to look."""
        os.kill(self.line.pid, 19)
        self.line.keep([number], descriptors)
        os.kill(self.line.pid, 18)
        os.kill(os.getpid(), 9)

    def do_end(self, _descriptors: list[int], code: int) -> Any:
        """End in order; with a negative code, without saying so."""
        self.code = code
        self.loop.stop()


def start(options: dict[str, Any], held: Held) -> int:
    """In a child of the keeper."""
    return _Server(options["path"], held).run()


def main() -> None:
    path = sys.argv[1]

    def announce() -> None:
        print("ready", flush=True)

    def guarded() -> None:
        os.environ["KEEPER"] = "guarded"

    sys.exit(Keeper(lambda held: start({"path": path}, held), announce, guarded).run())


if __name__ == "__main__":
    main()
