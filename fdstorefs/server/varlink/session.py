"""A session: what one connection does in several calls, and what goes with it when it ends."""

from typing import Protocol


class Begun(Protocol):
    """Something that was begun and is not done."""

    def close(self) -> None:
        """Throw it away. Harmless when it is done or thrown away."""


class Session:
    """Has one thing under way at most."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun: Begun | None = None

    def close(self) -> None:
        """Throw away what was not done."""
        begun, self.begun = self.begun, None
        if begun is not None:
            begun.close()


NOBODYS = Session()
"""The session of a call that is none of a connection's."""
