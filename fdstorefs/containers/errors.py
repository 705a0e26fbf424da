"""What the service for containers refuses, besides the errors that a store has too."""

import errno

from fdstorefs.errors import StoreError


class HostError(StoreError):
    """The service cannot start, or cannot do what was asked for."""


class NotStarted(HostError):
    """The instance does not come up (EIO): its own words say why."""

    code = errno.EIO
    identifier = "NotStarted"
