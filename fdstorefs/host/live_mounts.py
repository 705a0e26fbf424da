"""Our own mount table, kept up to date while it changes."""

import os
import select
import threading

from fdstorefs.host import mount_table, procfs


class LiveMountTable:
    """The mount table of the namespace we were in at first use, read again only when it has changed.

    Mount ids and device numbers are recycled, so a remembered table may only be believed after asking whether
    it changed. Ask about a file only after its attributes were read: what is still in the table then was
    mounted all the time, and has kept its numbers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = -1
        self._table: mount_table.MountTable | None = None
        self._poll = select.poll()

    def current(self) -> mount_table.MountTable:
        """The table as it is now. Raises OSError if it cannot be read."""
        with self._lock:
            if self._fd < 0:
                self._start()
            if self._poll.poll(0):
                # It is told once: the former table must not be believed again, even if reading fails.
                self._table = None
            if self._table is None:
                self._table = mount_table.parse(procfs.read_all(self._fd))
            return self._table

    def forget(self) -> None:
        """Start again at the next use: after entering another mount namespace."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def follow(self, fd: int) -> None:
        """Use this descriptor of a mount table from now on, of another namespace than ours perhaps, and own it."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._begin_with(fd)

    def forget_in_child(self) -> None:
        """After fork(2): a shared descriptor would report each change to only one of the two processes."""
        self._lock = threading.Lock()
        self.forget()

    def _start(self) -> None:
        self._begin_with(procfs.open_mountinfo())

    def _begin_with(self, fd: int) -> None:
        self._table = None
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)
