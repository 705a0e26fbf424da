"""A retrieved descriptor and who closes it."""

import os
from typing import IO, TYPE_CHECKING, Any

from fdstorefs.client.closing import Closing
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import ProtocolError

if TYPE_CHECKING:
    import socket


class Retrieved(Closing):
    """Owns one retrieved descriptor until `close`, or until `detach`, `socket` or `file` gives it away.

    A context manager. Collected unclosed it closes the descriptor with a ResourceWarning, as a file does.
    """

    __slots__ = ("__weakref__", "_descriptor", "name")

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self.name = name

    @property
    def closed(self) -> bool:
        """Whether the descriptor is closed or given away."""
        return self._descriptor < 0

    def fileno(self) -> int:
        """The descriptor, still owned by this object. ValueError once it is closed or given away."""
        if self._descriptor < 0:
            raise ValueError(f"the descriptor of `{self.name}` is closed or was given away")
        return self._descriptor

    def detach(self) -> int:
        """Give the descriptor away: the caller closes it."""
        descriptor = self.fileno()
        self._descriptor = -1
        return descriptor

    def close(self) -> None:
        """Close the descriptor; nothing happens if it is closed or given away already."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def socket(self) -> "socket.socket":
        """Give the descriptor to a socket object. If it is none, OSError and it is still owned."""
        import socket

        made = socket.socket(fileno=self.fileno())
        self._descriptor = -1
        return made

    def file(self, mode: str | None = None, **options: Any) -> IO[Any]:
        """Give the descriptor to a file object; `options` are those of `open`.

        Without `mode` it is binary and for what the descriptor is open for: reading, writing or both,
        unbuffered where it is both and can't seek. OSError if there is no file object for it; it is still
        owned then.
        """
        if mode is None:
            mode = self._natural_mode()
            if mode == "r+b" and not self._can_seek():
                options.setdefault("buffering", 0)
        # What can't be opened fails here, while the descriptor is still ours.
        open(self.fileno(), mode, closefd=False, **options).close()
        return open(self.detach(), mode, **options)

    def _natural_mode(self) -> str:
        import fcntl

        flags = fcntl.fcntl(self.fileno(), fcntl.F_GETFL)
        return {os.O_RDONLY: "rb", os.O_WRONLY: "wb"}.get(flags & os.O_ACCMODE, "r+b")

    def _can_seek(self) -> bool:
        try:
            os.lseek(self.fileno(), 0, os.SEEK_CUR)
        except OSError:
            return False
        return True

    def __del__(self) -> None:
        if self._descriptor >= 0:
            import warnings

            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()

    def __repr__(self) -> str:
        state = f"descriptor {self._descriptor}" if self._descriptor >= 0 else "closed"
        return f"<retrieved {self.name!r}: {state}>"


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that arrived and that nobody will get."""
    while descriptors:
        os.close(descriptors.pop())


def adopt(parameters: Parameters, descriptors: list[int], expected: int) -> list[Retrieved]:
    """Pair the names of a reply with the descriptors that came along.

    ProtocolError, and all of them are closed, unless there are as many of both as expected and they match.
    """
    try:
        entries = parameters["entries"]
        indices = [named["fileDescriptor"] for named in entries]
        names = [named["name"] for named in entries]
        fits = len(descriptors) == len(indices) == expected and set(indices) == set(range(expected))
    except (KeyError, TypeError):
        fits, indices, names = False, [], []
    if not fits:
        close_all(descriptors)
        raise ProtocolError("the instance sent descriptors that don't fit the names in its reply")
    return [Retrieved(descriptors[index], name) for index, name in zip(indices, names, strict=True)]
