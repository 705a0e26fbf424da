"""Which stored file is this? Two descriptors are one open file when the kernel (kcmp) says so."""

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from fdstorefs.host import syscalls

SORTED_AT_ONCE = 32
"""Files that are sorted before something else may be done."""


class Stored(Protocol):
    """A stored file: a descriptor of it that stays open, and its device and inode number."""

    @property
    def descriptor(self) -> int:
        """A descriptor of it."""

    @property
    def device(self) -> int:
        """The device that it is on."""

    @property
    def inode(self) -> int:
        """Its inode number there."""


File = TypeVar("File", bound=Stored)


class IdentityIndex(Generic[File]):
    """The open files of the store, found by any descriptor of them.

    Most are the only open file of their inode. But all eventfds of the machine share one, so that a bucket may
    hold everything: it is kept sorted by kcmp's order, and a look-up costs a logarithm of system calls.
    Without kcmp it costs one call per file. What was added must stay open until after `remove`.

    Very many that are added at once (`add_unsorted`) are sorted when there is time: until then a look-up among them
    costs a call for each.
    """

    def __init__(self) -> None:
        # There may be very many: a lone file costs no more than its place in the dictionary.
        self._lone: dict[int, File] = {}
        self._buckets: dict[int, list[File]] = {}
        self._unsorted: dict[int, list[File]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[File]:
        yield from self._lone.values()
        for files in (*self._buckets.values(), *self._unsorted.values()):
            yield from files

    def find(self, fd: int, device: int, inode: int) -> File | None:
        """The stored file that `fd` is another descriptor of. Raises OSError (EBADF)."""
        key = _key(device, inode)
        files = self._of(key)
        position, is_there = _position(files, fd)
        if is_there:
            return files[position]
        unsorted = self._unsorted.get(key, ())
        return next((file for file in unsorted if _is_same(file.descriptor, fd)), None)

    def add(self, file: File) -> None:
        """Remember a file. Raises ValueError when it is there already."""
        key = _key(file.device, file.inode)
        files = self._of(key)
        position, is_there = _position(files, file.descriptor)
        if is_there:
            raise ValueError(f"the open file of descriptor {file.descriptor} is indexed already")
        files.insert(position, file)
        self._put(key, files)
        self._count += 1

    def add_unsorted(self, file: File) -> None:
        """Remember a file that is not there yet, which nobody looks at here; `sort_some` puts it in its place."""
        key = _key(file.device, file.inode)
        if key in self._lone or key in self._buckets:
            self._unsorted.setdefault(key, []).append(file)
        else:
            self._lone[key] = file
        self._count += 1

    def sort_some(self) -> bool:
        """Sort some more of those. Whether there are more to sort."""
        for _ in range(SORTED_AT_ONCE):
            if not self._unsorted:
                return False
            self.add(self._take_unsorted(next(reversed(self._unsorted)), -1))
        return bool(self._unsorted)

    def _take_unsorted(self, key: int, place: int) -> File:
        files = self._unsorted[key]
        file = files.pop(place)
        if not files:
            del self._unsorted[key]
        self._count -= 1
        return file

    def remove(self, file: File) -> None:
        """Forget a file, while its descriptor is still open. Raises KeyError when it isn't there."""
        key = _key(file.device, file.inode)
        unsorted = [other.descriptor for other in self._unsorted.get(key, ())]
        if file.descriptor in unsorted:
            self._take_unsorted(key, unsorted.index(file.descriptor))
            return
        files = self._of(key)
        position, is_there = _position(files, file.descriptor)
        if not is_there:
            raise KeyError(f"the open file of descriptor {file.descriptor} is not indexed")
        del files[position]
        self._put(key, files)
        self._count -= 1

    def _of(self, key: int) -> list[File]:
        if key in self._lone:
            return [self._lone[key]]
        return self._buckets.get(key, [])

    def _put(self, key: int, files: list[File]) -> None:
        self._lone.pop(key, None)
        if len(files) > 1:
            self._buckets[key] = files
            return
        self._buckets.pop(key, None)
        if files:
            self._lone[key] = files[0]


def _is_same(there: int, fd: int) -> bool:
    return there == fd or syscalls.same_file_order(there, fd) == syscalls.SAME_FILE


def _key(device: int, inode: int) -> int:
    return device << 64 | inode


def _position(files: Sequence[Stored], fd: int) -> tuple[int, bool]:
    """Where `fd` is or belongs among sorted files, and whether it is there."""
    low, high = 0, len(files)
    while low < high:
        middle = (low + high) // 2
        there = files[middle].descriptor
        order = syscalls.same_file_order(there, fd) if there != fd else syscalls.SAME_FILE
        if order == syscalls.SAME_FILE:
            return middle, True
        if order == syscalls.DIFFERENT_WITHOUT_ORDER:
            return _position_without_order(files, fd)
        if order == syscalls.ORDERED_BEFORE:
            low = middle + 1
        else:
            high = middle
    return low, False


def _position_without_order(files: Sequence[Stored], fd: int) -> tuple[int, bool]:
    for position, other in enumerate(files):
        if syscalls.same_file_order(other.descriptor, fd) == syscalls.SAME_FILE:
            return position, True
    return len(files), False
