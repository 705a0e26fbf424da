"""The little of io_uring by which a file is handed from one ring to another, and read there."""

import ctypes
import mmap
import os
import struct

_SETUP, _ENTER, _REGISTER = 425, 426, 427
_REGISTER_FILES = 2
_READ, _MSG_RING = 22, 40
_SEND_FD = 1
_FIXED_FILE = 1
_GETEVENTS = 1
_OFFSET_SQES = 0x1000_0000
_ENTRIES = 4
_OWN = 1
"""The number that our own entries complete with; what another ring sends completes with 0."""
_SQE, _CQE = struct.Struct("=BBHiQQIIQHHIQQ"), struct.Struct("=QiI")
_PARAMETERS = struct.Struct("=10I8IQ8IQ")
_WORD = struct.Struct("=I")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Ring:
    """A ring of a few entries, with room for one file; `fd` is its descriptor."""

    def __init__(self, file: int = -1) -> None:
        """`file` is the descriptor that it has from the start, -1 for none."""
        parameters = ctypes.create_string_buffer(_PARAMETERS.size)
        self.fd = _called(_SETUP, _ENTRIES, parameters)
        told = _PARAMETERS.unpack(parameters.raw)
        sq, cq = told[10:18], told[19:27]
        self._sq_tail, self._sq_mask, self._array = sq[1], sq[2], sq[6]
        self._cq_head, self._cq_mask, self._cqes = cq[0], cq[2], cq[5]
        size = max(self._array + told[0] * _WORD.size, self._cqes + told[1] * _CQE.size)
        self._rings = mmap.mmap(self.fd, size)
        self._sqes = mmap.mmap(self.fd, told[0] * _SQE.size, offset=_OFFSET_SQES)
        files = (ctypes.c_int * 1)(file)
        _called(_REGISTER, self.fd, _REGISTER_FILES, files, 1)

    def send_file(self, ring: int) -> None:
        """Put our file into another ring, by a descriptor of that."""
        self._do(_SQE.pack(_MSG_RING, 0, 0, ring, 0, _SEND_FD, 0, 0, _OWN, 0, 0, 1, 0, 0))

    def read(self, length: int) -> bytes:
        """The beginning of the file that the ring has, whoever put it there."""
        buffer = ctypes.create_string_buffer(length)
        place = ctypes.addressof(buffer)
        entry = _SQE.pack(_READ, _FIXED_FILE, 0, 0, 0, place, length, 0, _OWN, 0, 0, 0, 0, 0)
        count = self._do(entry)
        return buffer.raw[:count]

    def _do(self, entry: bytes) -> int:
        tail = self._word(self._sq_tail)
        at = tail & self._word(self._sq_mask)
        self._sqes[at * _SQE.size : (at + 1) * _SQE.size] = entry
        self._put(self._array + at * _WORD.size, at)
        self._put(self._sq_tail, tail + 1)
        _called(_ENTER, self.fd, 1, 1, _GETEVENTS, None, 0)
        while True:
            head = self._word(self._cq_head)
            at = self._cqes + (head & self._word(self._cq_mask)) * _CQE.size
            number, result, _ = _CQE.unpack_from(self._rings, at)
            self._put(self._cq_head, head + 1)
            if number == _OWN:
                return _checked(result)

    def _word(self, at: int) -> int:
        return int(_WORD.unpack_from(self._rings, at)[0])

    def _put(self, at: int, value: int) -> None:
        _WORD.pack_into(self._rings, at, value & 0xFFFF_FFFF)


def _called(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(number, *arguments))
    return result if result >= 0 else _checked(-ctypes.get_errno())


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result
