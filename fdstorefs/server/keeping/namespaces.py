"""User namespaces that are kept: stashers are known by their numbers, and one that goes leaves its to another."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from weakref import WeakValueDictionary

from fdstorefs.core.subject import Userns
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace

FIRST_NUMBER = 1 << 62
"""Open files have lower numbers."""

Hold = Callable[[HeldNamespace], HeldChain]


class KeptNamespaces:
    """Those that the keeper holds, by number."""

    def __init__(self) -> None:
        self._latest = FIRST_NUMBER - 1
        self._kept: WeakValueDictionary[int, HeldNamespace] = WeakValueDictionary()
        # Filled wherever a namespace goes, in the middle of anything.
        self._gone: deque[int] = deque()

    def unkept(self, userns: Userns | None) -> tuple[int, HeldNamespace] | None:
        """The namespace that has to be kept so that these numbers remain its own, and the number to keep it under.

        Another one each time: if it is refused, the keeper may yet be told to let go of that number.
        """
        if not isinstance(userns, HeldChain) or userns.held.number:
            return None
        self._latest += 1
        return self._latest, userns.held

    def pass_over(self, number: int) -> None:
        """No number up to this one is given to anything new."""
        self._latest = max(self._latest, number)

    def add(self, number: int, held: HeldNamespace) -> None:
        """It is kept."""
        held.number, held.let_go = number, self._gone.append
        self._kept[number] = held
        self.pass_over(number)

    @property
    def has_gone(self) -> bool:
        """Whether some are needed no more."""
        return bool(self._gone)

    def take_gone(self) -> list[int]:
        """The numbers of those."""
        return [self._gone.popleft() for _ in range(len(self._gone))]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Number and descriptor of each."""
        for number, held in list(self._kept.items()):
            yield number, held.descriptor


class NamespacesAgain:
    """Takes over those that were kept before, as stashers turn up that came from them.

    `left` are the descriptors, by number, of those that nobody has asked for so far.
    """

    def __init__(self, kept: KeptNamespaces, descriptors: Mapping[int, int], hold: Hold) -> None:
        self.left = dict(descriptors)
        self._kept = kept
        self._hold = hold
        self._chains: dict[int, HeldChain] = {}

    def __call__(self, number: int, _userns: Userns) -> Userns | None:
        """The namespace that was kept under this number. None if it is not there: the numbers may be another's."""
        if number in self.left:
            chain = self._chains[number] = self._hold(HeldNamespace(self.left.pop(number)))
            self._kept.add(number, chain.held)
        return self._chains.get(number)
