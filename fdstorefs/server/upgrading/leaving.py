"""Leaving: another server serves. What a thread of this one is still at is answered, and then this process ends."""

import logging
import os
import threading
from collections.abc import Callable

from fdstorefs.server.upgrading.parts import Parts
from fdstorefs.server.upgrading.talk import Message, Talk, TalkEnded

log = logging.getLogger(__name__)


class Leaving:
    """The last that a server does. `leave` ends its loop."""

    def __init__(self, parts: Parts, talk: Talk, leave: Callable[[], None]) -> None:
        self._parts = parts
        self._talk = talk
        self._leave = leave

    def begin(self) -> None:
        """See what is left to do."""
        parts = self._parts
        parts.line.unwatch()
        parts.mount_server.leave(self._answered, self._give_back)
        parts.socket_server.leave()
        if not parts.mount_server.lingering:
            self._leave()
            return
        log.info("upgrade: %d calls are answered by the former server yet", len(parts.mount_server.lingering))
        parts.loop.register(self._talk.fileno(), self._on_talk)
        # Copies that stay open here would be noticed: a pipe has no end while somebody could write to it.
        needed = {*parts.mount_server.needed, self._talk.fileno()}
        threading.Thread(target=_close_all_but, args=(needed,), daemon=True).start()

    def _answered(self, unique: int) -> None:
        try:
            self._talk.say("answered", unique=unique)
        except TalkEnded:
            log.debug("the new server is gone, too")
        if not self._parts.mount_server.lingering:
            self._leave()

    def _give_back(self, unique: int, moved: int) -> None:
        try:
            self._talk.say("given-back", unique=unique, moved=moved)
        except TalkEnded:
            log.debug("the new server is gone, too")
        if not self._parts.mount_server.lingering:
            self._leave()

    def _on_talk(self, _events: int) -> None:
        try:
            while (message := self._talk.hear()) is not None:
                self._hear(message)
        except TalkEnded:
            self._leave()  # the mount is another's by now, and nobody waits for our answer

    def _hear(self, message: Message) -> None:
        if message.say == "interrupt":
            self._parts.mount_server.interrupt(int(message.told["unique"]))


def _close_all_but(needed: set[int]) -> None:
    """May block for ever: some files ask their own servers first."""
    for entry in os.listdir("/dev/fd"):
        descriptor = int(entry)
        if descriptor > 2 and descriptor not in needed:
            try:
                os.close(descriptor)
            except OSError:
                continue
