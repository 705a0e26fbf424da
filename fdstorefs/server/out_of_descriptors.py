"""What a client is told when the server, or the whole system, can have no more descriptors.

The budget sees to it that this does not happen to the server. EMFILE would be wrong in any case: it says that the
process that asks has too many, and that is another one.
"""

import errno

from fdstorefs.errors import QuotaExceeded

OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


def code_of(error: OSError) -> int:
    """The errno for a client."""
    if error.errno in OUT_OF_DESCRIPTORS:
        return errno.EDQUOT
    return error.errno or errno.EIO


def as_quota(error: OSError) -> QuotaExceeded:
    """The same in words."""
    whose = "the server has" if error.errno == errno.EMFILE else "the system has"
    return QuotaExceeded(
        f"{whose} as many open descriptors as it may",
        hint="discard some, or start the instance with a higher RLIMIT_NOFILE"
        if error.errno == errno.EMFILE
        else "raise the sysctl fs.file-max",
    )
