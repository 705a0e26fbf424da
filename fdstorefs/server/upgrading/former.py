"""The former server, as the new one sees it from `state` on: it may have calls left that only it can answer."""

import logging

from fdstorefs.server.fuse import MountServer
from fdstorefs.server.loop import Loop
from fdstorefs.server.upgrading.talk import Talk, TalkEnded

log = logging.getLogger(__name__)


class Former:
    """Speaks to it until it ends."""

    def __init__(self, talk: Talk, loop: Loop) -> None:
        self._talk = talk
        self._loop = loop
        self._mount_server: MountServer | None = None

    def attend(self, mount_server: MountServer) -> None:
        """Serving: hear what it has answered, and when it is gone."""
        self._mount_server = mount_server
        self._loop.register(self._talk.fileno(), self._on_talk)
        self._say("serving")

    def interrupt(self, unique: int) -> None:
        """A signal has come for the caller of a call that it answers."""
        self._say("interrupt", unique=unique)

    def _say(self, what: str, unique: int = 0) -> None:
        try:
            self._talk.say(what, unique=unique)
        except TalkEnded as error:
            log.debug("the former server is not told `%s`: %s", what, error)

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
            self._mount_server.former_is_gone()
