"""fusermount3, the set-user-id helper of package fuse3: it mounts for users who may not."""

import os
import shutil
import socket
import struct
import subprocess

_FUSE_CONF = "/etc/fuse.conf"
_SYSTEM_DIRECTORIES = "/usr/bin:/bin"
_INT = struct.Struct("i")


class FusermountMissing(Exception):
    """There is no fusermount3 on this machine."""


class FusermountRefused(Exception):
    """fusermount3 ran and said no; the text is what it said, without its own name."""


def mount(path: str, source: str, subtype: str) -> int:
    """Mount `fuse.SUBTYPE` at `path` and return its /dev/fuse, not blocking and closed on exec."""
    options = [f"fsname={source}", f"subtype={subtype}", "nosuid", "nodev"]
    if _user_may_allow_other():
        options.append("allow_other")
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _run(["-o", ",".join(options), "--", path], theirs)
        return _receive(ours)


def unmount(path: str, *, lazy: bool) -> None:
    """Unmount what `mount` mounted; only the user who did may."""
    _run(["-u", *(["-z"] if lazy else []), "--", path])


def _run(arguments: list[str], channel: socket.socket | None = None) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    if channel is not None:
        environment["_FUSE_COMMFD"] = str(channel.fileno())
    done = subprocess.run(
        [_program(), *arguments],
        env=environment,
        pass_fds=[] if channel is None else [channel.fileno()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise FusermountRefused(_without_name(done.stderr) or f"exit status {done.returncode}")


def _program() -> str:
    found = shutil.which("fusermount3", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_DIRECTORIES}")
    if found is None:
        raise FusermountMissing
    return found


def _receive(channel: socket.socket) -> int:
    # not socket.recv_fds: it drops the flags, and the descriptor would be inherited
    _, messages, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(_INT.size), socket.MSG_CMSG_CLOEXEC)
    if not messages:
        raise FusermountRefused("it sent no descriptor")
    descriptor: int = _INT.unpack_from(messages[0][2])[0]
    os.set_blocking(descriptor, False)
    return descriptor


def _without_name(said: str) -> str:
    return "; ".join(line.partition("fusermount3: ")[2] or line for line in said.strip().split("\n"))


def _user_may_allow_other() -> bool:
    try:
        with open(_FUSE_CONF, encoding="utf-8", errors="replace") as lines:
            return any(line.strip() == "user_allow_other" for line in lines)
    except (FileNotFoundError, PermissionError):
        return False  # then fusermount3, too, finds no leave for it
