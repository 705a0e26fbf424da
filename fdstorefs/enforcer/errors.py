"""What the enforcer refuses, one class each, besides the errors that a store has too."""

import errno
from typing import Any

from fdstorefs.errors import StoreError


class EnforcerError(StoreError):
    """The enforcer cannot start, or cannot do what was asked for. `details` goes into the reply beside the rest."""

    def __init__(
        self, message: str, *, name: str | None = None, hint: str | None = None, **details: Any
    ) -> None:
        super().__init__(message, name=name, hint=hint)
        self.details: dict[str, Any] = details


class AlreadyRegistered(EnforcerError):
    """Another process that lives serves this mount (EBUSY)."""

    code = errno.EBUSY
    identifier = "AlreadyRegistered"


class NotAMount(EnforcerError):
    """The descriptor is not of a mount that the caller serves (ENOTDIR)."""

    code = errno.ENOTDIR
    identifier = "NotAMount"


class NotRegistered(EnforcerError):
    """The caller serves no instance that is registered (ENOTCONN)."""

    code = errno.ENOTCONN
    identifier = "NotRegistered"


class NotEnforcing(EnforcerError):
    """The kernel side is not in force (EAGAIN)."""

    code = errno.EAGAIN
    identifier = "NotEnforcing"


class BadPolicy(EnforcerError):
    """Something is wrong with the policies; what was in force stays (EINVAL)."""

    code = errno.EINVAL
    identifier = "BadPolicy"


class NoSuchPolicy(EnforcerError):
    """No policy of this name is in force (ENOENT)."""

    code = errno.ENOENT
    identifier = "NoSuchPolicy"
