"""The line to the keeper, as far as the store needs it."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Line(Protocol):
    """What leads to the keeper, which holds descriptors by number. All is called in the loop's thread."""

    def keep(
        self,
        numbers: Sequence[int],
        descriptors: Sequence[int],
        /,
        slow: bool = False,
        foreign: Collection[int] = (),
    ) -> None:
        """Have these held; `slow`: to close one may block; `foreign`: to ask these for their attributes may.

        Raises StoreError, and then none is.
        """

    def drop(self, numbers: Sequence[int], /, slow: bool = False) -> None:
        """These are needed no more; `slow`: to close one may block. Neither raises nor blocks.

        The caller still has copies of its own open.
        """

    def journal(self, descriptor: int, /) -> None:
        """Have this held as the journal, in place of the one before. Raises StoreError, and then that one stays."""
