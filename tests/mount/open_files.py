"""What this process has open, for tests that nothing is left."""

import errno
import os


def open_files() -> set[tuple[int, int, int]]:
    """Descriptors of this process, each with device and inode of its file: a number may come back for another one."""
    found = set()
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            status = os.fstat(descriptor)
        except OSError as error:
            # The directory that was listed, or what another thread has closed.
            assert error.errno == errno.EBADF
        else:
            found.add((descriptor, status.st_dev, status.st_ino))
    return found
