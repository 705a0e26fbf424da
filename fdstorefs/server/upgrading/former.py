"""The former server, as the new one sees it from `state` on: it may have calls left that only it can answer."""

import logging
import os

from fdstorefs.host.readable import becomes_readable
from fdstorefs.keeper.dying import is_dying
from fdstorefs.server.fuse import MountServer
from fdstorefs.server.loop import Loop
from fdstorefs.server.upgrading.talk import Talk, TalkEnded

log = logging.getLogger(__name__)


class Former:
    """Speaks to it, the process `pid`, until it ends. Raises OSError if it has ended already."""

    def __init__(self, talk: Talk, loop: Loop, pid: int) -> None:
        self._talk = talk
        self._loop = loop
        self._pid, self._pidfd = pid, os.pidfd_open(pid)
        self._mount_server: MountServer | None = None

    @property
    def is_gone(self) -> bool:
        """Whether its process is no more. One that lives, and talks to us no more, serves on without us."""
        return is_dying(self._pid) or becomes_readable(self._pidfd, 0)

    def relieve(self) -> bool:
        """Say that this server serves, before it does anything. False: the former one has given this one up."""
        try:
            self._talk.say("serving")
        except TalkEnded:
            return self.is_gone
        return True

    def attend(self, mount_server: MountServer) -> None:
        """Hear what it has answered, and when it is gone."""
        self._mount_server = mount_server
        self._loop.register(self._talk.fileno(), self._on_talk)

    def interrupt(self, unique: int) -> None:
        """A signal has come for the caller of a call that it answers."""
        try:
            self._talk.say("interrupt", unique=unique)
        except TalkEnded as error:
            log.debug("the former server is not told of an interrupt: %s", error)

    def _on_talk(self, _events: int) -> None:
        assert self._mount_server is not None
        try:
            while (message := self._talk.hear()) is not None:
                unique = int(message.told["unique"])
                if message.say == "answered":
                    self._mount_server.answered_elsewhere(unique)
                elif message.say == "given-back":
                    self._mount_server.given_back(unique, int(message.told["moved"]))
        except TalkEnded:
            self._loop.unregister(self._talk.fileno())
            self._talk.close()
            os.close(self._pidfd)
            self._mount_server.former_is_gone()
