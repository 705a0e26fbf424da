"""Numbers that are given out once only, for as long as anything is pinned: they live in a pinned map."""

from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.typed_map import TypedMap

_INSTANCE, _CLASS, _CLASS_SET, _GENERATION = range(4)
_MOST_32 = (1 << 32) - 1
_MOST_64 = (1 << 64) - 2  # the last is FDS_UNGUARDED


class Counters:
    """The next numbers, from 1 on."""

    def __init__(self, numbers: TypedMap[int, int]) -> None:
        self._numbers = numbers

    def next_instance(self) -> int:
        """For an instance."""
        return self._next(_INSTANCE, _MOST_32)

    def next_class(self) -> int:
        """For a class."""
        return self._next(_CLASS, _MOST_32)

    def next_class_set(self) -> int:
        """For a class set."""
        return self._next(_CLASS_SET, _MOST_64)

    def next_generation(self) -> int:
        """For a generation."""
        return self._next(_GENERATION, _MOST_32)

    def _next(self, which: int, most: int) -> int:
        number = (self._numbers.get(which) or 0) + 1
        if number > most:
            why, hint = "all have been given out", "`fdstorefs enforce --off`, then start again"
            raise KernelError(
                "numbers-used-up", "there is no number left", where="numbers", why=why, hint=hint
            )
        self._numbers.put(which, number)
        return number
