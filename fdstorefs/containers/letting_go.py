"""What a fork does first: it lets go of what was its parent's."""

import os
from collections.abc import Collection


def keep_only(descriptors: Collection[int]) -> None:
    """Close everything but these and the standard streams."""
    start = 3
    for descriptor in sorted(descriptors):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
