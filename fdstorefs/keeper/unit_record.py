"""The record: what an instance's next life has to know of this one, if nobody is left to tell it.

It is a page of memory that systemd holds with everything else of the unit, and whoever serves writes. What is written
is there at once, and survives the writer.
"""

import json
import os
from typing import Any, Self

NUMBER = (1 << 62) - 1
"""The number under which the keeper holds it, too: between those of open files and those of user namespaces."""

_NAME = "fdstorefs-record"
_BYTES = 4096
_VERSION = 1


class Unreadable(Exception):
    """It is no record of this version."""

    hint = "start the version that has written it"


class Ambiguous(Unreadable):
    """There are several, of which one at most is true."""

    hint = "stop the unit, let go of what systemd has (`systemctl clean --what=fdstore`), and start it"


class Record:
    """`told` is what it says; see `UnitKeeping` for what that is. Owns its descriptor."""

    def __init__(self, fd: int, told: dict[str, Any]) -> None:
        self.fd = fd
        self.told = told

    @classmethod
    def create(cls, **told: Any) -> Self:
        """A new one. Raises OSError."""
        made = cls(os.memfd_create(_NAME, os.MFD_CLOEXEC), {})
        os.posix_fallocate(made.fd, 0, _BYTES)
        made.write(**told)
        return made

    @classmethod
    def read(cls, fd: int) -> Self:
        """The one behind a descriptor. Raises Unreadable."""
        try:
            told = json.loads(os.pread(fd, _BYTES, 0))
        except (OSError, ValueError) as error:
            raise Unreadable("the record that systemd has of the instance is damaged") from error
        if not isinstance(told, dict) or told.get("version") != _VERSION:
            raise Unreadable("the record that systemd has of the instance was written by another version")
        return cls(fd, told)

    def write(self, **told: Any) -> None:
        """Have it say this, with what it has said before."""
        self.told = {**self.told, **told, "version": _VERSION}
        text = json.dumps(self.told).encode()
        if len(text) > _BYTES:
            raise ValueError("the record of the instance is longer than a page")
        # One call within one page: a kill leaves the old text or the new one.
        os.pwrite(self.fd, text.ljust(_BYTES), 0)
