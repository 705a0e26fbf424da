"""What a person recognises in an open file, on one line that is safe to print."""

import fcntl
from collections.abc import Callable

from fdstorefs.host import procfs, syscalls
from fdstorefs.host.file_kind import FileFacts, Kind
from fdstorefs.host.socket_description import describe_socket

_F_GET_SEALS = 1034
# F_SEAL_SEAL is left out: every memfd that was made without sealing in mind has it.
_SEALS = {
    0x8: "write",
    0x10: "future write",
    0x2: "shrink",
    0x4: "grow",
    0x20: "exec",
}
_ACCESS = {"r": "read", "w": "write", "rw": "read and write", "path": "path only"}
_DELETED = " (deleted)"
_BYTES_PER_STEP = 1024


def describe(fd: int, facts: FileFacts) -> str:
    """One line, without control characters, for a descriptor that `classify` gave `facts` about.

    Raises OSError (EBADF) when the descriptor is not open.
    """
    if facts.access == "path" and facts.kind not in _ON_A_PATH:
        return f"{facts.kind} (path only)"
    return safe_line(_DESCRIBERS.get(facts.kind, _named_by_link)(fd, facts))


def safe_line(text: str) -> str:
    """The text with everything escaped that could break a line, hide, or reorder what is shown."""
    return "".join(_safe_character(character) for character in text)


def _safe_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape carries it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def readable_size(size: int) -> str:
    """A size in bytes as people write it: `12 bytes`, `4.0 MiB`."""
    if size < _BYTES_PER_STEP:
        return f"{size} bytes"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        amount /= _BYTES_PER_STEP
        if amount < _BYTES_PER_STEP:
            return f"{amount:.1f} {unit}"
    return f"{amount / _BYTES_PER_STEP:.1f} EiB"


def _socket(fd: int, _facts: FileFacts) -> str:
    return describe_socket(fd)


def _memfd(fd: int, _facts: FileFacts) -> str:
    name = procfs.fd_link(fd).removeprefix("/").removesuffix(_DELETED)
    size = readable_size(syscalls.statx_cached(fd).size)
    set_seals = fcntl.fcntl(fd, _F_GET_SEALS)
    seals = ", ".join(word for bit, word in _SEALS.items() if set_seals & bit)
    return f"{name} {size} sealed ({seals})" if seals else f"{name} {size}"


def _pipe(fd: int, facts: FileFacts) -> str:
    ends = {"r": "read end", "w": "write end", "rw": "both ends", "path": "path only"}
    what = "pipe" if facts.filesystem == "pipefs" else f"{_path(fd)} fifo"
    return f"{what} ({ends[facts.access]})"


def _regular(fd: int, facts: FileFacts) -> str:
    return f"{_path(fd)} ({_ACCESS[facts.access]})"


def _directory(fd: int, facts: FileFacts) -> str:
    return f"{_path(fd)} directory{_path_only(facts)}"


def _device(fd: int, facts: FileFacts) -> str:
    return f"{_path(fd)}{_path_only(facts)}"


def _symlink(fd: int, _facts: FileFacts) -> str:
    return f"{_path(fd)} symbolic link"


def _path_only(facts: FileFacts) -> str:
    return " (path only)" if facts.access == "path" else ""


def _path(fd: int) -> str:
    link = procfs.fd_link(fd)
    if link.endswith(_DELETED) and syscalls.statx_cached(fd).nlink == 0:
        return f"deleted file {link.removesuffix(_DELETED)}"
    return link


def _eventfd(fd: int, _facts: FileFacts) -> str:
    count = int(procfs.fdinfo_field(procfs.fdinfo(fd), "eventfd-count"), 16)
    return f"eventfd {count}"


def _pidfd(fd: int, _facts: FileFacts) -> str:
    pid = int(procfs.fdinfo_field(procfs.fdinfo(fd), "Pid"))
    if pid > 0:
        return f"pidfd of {pid}"
    return "pidfd of an ended process" if pid else "pidfd of a process of another pid namespace"


def _namespace(fd: int, _facts: FileFacts) -> str:
    kind, _, number = procfs.fd_link(fd).partition(":")
    return f"{kind} namespace {number.strip('[]')}"


def _kind_alone(_fd: int, facts: FileFacts) -> str:
    return str(facts.kind)


def _named_by_link(fd: int, _facts: FileFacts) -> str:
    name = procfs.fd_link(fd)
    return name.removeprefix("anon_inode:").strip("[]") if name.startswith("anon_inode:") else name


_DESCRIBERS: dict[Kind, Callable[[int, FileFacts], str]] = {
    Kind.SOCKET: _socket,
    Kind.MEMFD: _memfd,
    Kind.PIPE: _pipe,
    Kind.REGULAR: _regular,
    Kind.DIRECTORY: _directory,
    Kind.DEVICE: _device,
    Kind.SYMLINK: _symlink,
    Kind.EVENTFD: _eventfd,
    Kind.PIDFD: _pidfd,
    Kind.NAMESPACE: _namespace,
    Kind.EPOLL: _kind_alone,
}
# What can be opened with O_PATH and still tells what it is.
_ON_A_PATH = frozenset(
    {Kind.PIPE, Kind.REGULAR, Kind.DIRECTORY, Kind.DEVICE, Kind.SYMLINK, Kind.NAMESPACE, Kind.OTHER}
)
