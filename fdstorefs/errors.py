"""The errors of a store, one class each, shared by server and client.

Every class is a `StoreError` and also the `OSError` subclass a Python programmer would catch, carries the
errno a C programmer would expect, and names the Varlink error that stands for it on the socket.
"""

import errno
from typing import ClassVar


class StoreError(OSError):
    """Something the store refused; `errno`, `strerror` say what, `name` which entry, `hint` what to do.

    For what was denied, `reason` says which rule or that mode bits did it, and `decision` is the id of the
    record in the instance's audit log.
    """

    code: ClassVar[int] = errno.EIO
    identifier: ClassVar[str] = "Failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, name: str | None = None, hint: str | None = None) -> None:
        super().__init__(self.code, message)
        self.message = message
        self.name = name
        self.hint = hint
        self.reason: str | None = None
        self.decision: str | None = None

    def __str__(self) -> str:
        return self.message


class NoSuchEntry(StoreError, FileNotFoundError):
    """No entry or box has this name (ENOENT)."""

    code = errno.ENOENT
    identifier = "NoSuchEntry"
    exit_code = 4


class EntryExists(StoreError, FileExistsError):
    """The name is taken (EEXIST)."""

    code = errno.EEXIST
    identifier = "EntryExists"


class Denied(StoreError, PermissionError):
    """Mode bits or policy refuse it to this subject (EACCES)."""

    code = errno.EACCES
    identifier = "Denied"
    exit_code = 3


class NotPermitted(StoreError, PermissionError):
    """Only the owner or a privileged process may do it (EPERM)."""

    code = errno.EPERM
    identifier = "NotPermitted"
    exit_code = 3


class NotGuarded(StoreError, PermissionError):
    """The kernel is to enforce the policy on the open file, and at this moment it cannot (EACCES).

    To whoever knows errnos only it is a denial, as what nobody can vouch for is refused.
    """

    code = errno.EACCES
    identifier = "NotGuarded"
    exit_code = 3


class EmptyEntry(StoreError):
    """The entry exists and holds nothing yet (ENXIO)."""

    code = errno.ENXIO
    identifier = "EmptyEntry"


class Busy(StoreError):
    """The box is sealed, or the handle has done its one stash already (EBUSY)."""

    code = errno.EBUSY
    identifier = "Busy"


class QuotaExceeded(StoreError):
    """A limit on entries or descriptors is reached (EDQUOT)."""

    code = errno.EDQUOT
    identifier = "QuotaExceeded"


class TooManyNames(StoreError):
    """An open file, or an empty entry, has as many names as it may have (EMLINK)."""

    code = errno.EMLINK
    identifier = "TooManyNames"


class InvalidName(StoreError):
    """No entry can have this name (EINVAL)."""

    code = errno.EINVAL
    identifier = "InvalidName"


class NameTooLong(StoreError):
    """A name is over 255 bytes, or a path over 4095 (ENAMETOOLONG)."""

    code = errno.ENAMETOOLONG
    identifier = "NameTooLong"


class InvalidArgument(StoreError):
    """A value makes no sense here (EINVAL)."""

    code = errno.EINVAL
    identifier = "InvalidArgument"


class Loop(StoreError):
    """The descriptor belongs to an fdstorefs, or would carry one to itself (ELOOP)."""

    code = errno.ELOOP
    identifier = "Loop"


class NotABox(StoreError, NotADirectoryError):
    """A component of the name is an entry, not a box (ENOTDIR)."""

    code = errno.ENOTDIR
    identifier = "NotABox"


class IsABox(StoreError, IsADirectoryError):
    """The name is a box where an entry is wanted (EISDIR)."""

    code = errno.EISDIR
    identifier = "IsABox"


class NotEmpty(StoreError):
    """The box still holds something (ENOTEMPTY)."""

    code = errno.ENOTEMPTY
    identifier = "NotEmpty"


class BadDescriptor(StoreError):
    """The number or index names no open descriptor (EBADF)."""

    code = errno.EBADF
    identifier = "BadDescriptor"


class NoSuchProcess(StoreError, ProcessLookupError):
    """The process that asked is gone, or cannot be seen from the server's pid namespace (ESRCH)."""

    code = errno.ESRCH
    identifier = "NoSuchProcess"


class NotSupported(StoreError):
    """This kernel or this kind of file cannot do it (EOPNOTSUPP)."""

    code = errno.EOPNOTSUPP
    identifier = "NotSupported"


class Overloaded(StoreError):
    """The client or the kernel has too much in flight; try again (EAGAIN)."""

    code = errno.EAGAIN
    identifier = "Overloaded"


class NoInstance(StoreError, ConnectionError):
    """No fdstorefs instance serves at this mount (ENOTCONN)."""

    code = errno.ENOTCONN
    identifier = "NoInstance"
    exit_code = 5


class ProtocolError(StoreError):
    """The other side broke the protocol or went away in the middle of a call (EPROTO)."""

    code = errno.EPROTO
    identifier = "ProtocolError"


def _all_below(root: type[StoreError]) -> dict[str, type[StoreError]]:
    found = {root.identifier: root}
    for child in root.__subclasses__():
        found.update(_all_below(child))
    return found


BY_IDENTIFIER: dict[str, type[StoreError]] = _all_below(StoreError)
