"""Room for descriptors: as many as may be, and none where a stream belongs."""

import os
import resource


def raise_limit() -> None:
    """Have room for as many descriptors as the server, which does the same."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def fill_standard_streams() -> None:
    """Where 0, 1 or 2 is closed, let it lead nowhere, before something else gets the number."""
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nowhere, True)
    os.close(nowhere)
