"""Memory that stalls whoever touches it, as memory mapped from a dead FUSE server does."""

import ctypes
import fcntl
import mmap
import os
import struct


class StalledMemory:
    """A page whose first reader or writer sleeps inside the kernel until `release`: userfaultfd."""

    _SYS_USERFAULTFD = 323 if os.uname().machine == "x86_64" else 282
    _UFFDIO_API = 0xC018AA3F
    _UFFDIO_REGISTER = 0xC020AA00
    _UFFDIO_ZEROPAGE = 0xC020AA04
    _PAGE = 4096

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.syscall(self._SYS_USERFAULTFD, os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "no userfaultfd here")
        self.page = mmap.mmap(-1, self._PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        fcntl.ioctl(self._fd, self._UFFDIO_API, struct.pack("=QQQ", 0xAA, 0, 0))
        fcntl.ioctl(self._fd, self._UFFDIO_REGISTER, struct.pack("=QQQQ", self._address, self._PAGE, 1, 0))

    def wait_for_fault(self) -> None:
        """Return once somebody sleeps on the page."""
        os.read(self._fd, 32)

    def release(self) -> None:
        """Let them go on. A second time does nothing."""
        if self._fd < 0:
            return
        fcntl.ioctl(self._fd, self._UFFDIO_ZEROPAGE, struct.pack("=QQQq", self._address, self._PAGE, 0, 0))
        os.close(self._fd)
        self._fd = -1
