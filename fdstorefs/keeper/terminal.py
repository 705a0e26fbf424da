"""Whether there is a terminal that can hang up: then SIGHUP says that it has, and else that an upgrade is wanted."""

import os


def has_terminal() -> bool:
    """Whether this process belongs to a terminal, which is there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
