"""Policy files: found, opened without falling for what somebody may have put in their place, and read once.

Whoever can write a policy, or change what its path leads to, makes the policy. So, as sshd does with its keys,
nothing is read that anybody but root and the server's own user could have put there.

Inside a user namespace, root outside of it and all others outside look alike. Files of theirs are taken for root's:
name none that belongs to another user. Where the mount namespace is of those outside, too, that holds even if a user
inside has the number that they look alike by.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fdstorefs.host import procfs
from fdstorefs.host.user_namespaces import mounts_are_from_above
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity, quoted
from fdstorefs.policy.files import MAX_BYTES, is_policy
from fdstorefs.policy.span import Source
from fdstorefs.server.enforcement.sighting import Sighting, sighting_of
from fdstorefs.server.enforcement.trail import Step, trail

MAX_FILES = 1024
"""Most policy files in a directory: no more rules than that can be in force together."""

ROOT = 0
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class PolicyFile(NamedTuple):
    """A policy as it was read, and what file that was, before its first byte was read."""

    name: str
    data: bytes
    sighting: Sighting

    def source(self) -> Source:
        """Its text. Raises PolicyError for what is no text."""
        from fdstorefs.policy.load import source_from_bytes  # see `loading`

        return source_from_bytes(self.name, self.data)


class Owners:
    """Who may own what leads to a policy: root, and the user whom the server runs as."""

    def __init__(self) -> None:
        self._trusted = {ROOT, os.geteuid()}
        overflow = procfs.overflow_uid()
        mapped = any(0 <= overflow - each.inside < each.count for each in procfs.id_map("uid"))
        if not mapped or mounts_are_from_above():
            # Nobody in our user namespace has this number: the owner is outside, as the host's root is.
            self._trusted.add(overflow)

    def include(self, uid: int) -> bool:
        """Whether this user is one of them."""
        return uid in self._trusted


def read_policy_files(paths: Sequence[str]) -> tuple[PolicyFile, ...]:
    """Read files, and what is in directories; the paths are absolute. Raises PolicyError with all that is wrong.

    One after the other, whatever changes meanwhile: see `read_settled`.
    """
    owners = Owners()
    found: list[PolicyFile] = []
    problems: list[Diagnostic] = []
    for path in paths:
        for file in _named_by(path, owners, problems):
            try:
                found.append(_read(file, owners))
            except PolicyError as error:
                problems += error.diagnostics
    if problems:
        raise PolicyError(problems)
    return tuple(found)


def sources_of(files: Sequence[PolicyFile]) -> list[Source]:
    """The texts of all files. Raises PolicyError with all that is wrong."""
    sources: list[Source] = []
    problems: list[Diagnostic] = []
    for file in files:
        try:
            sources.append(file.source())
        except PolicyError as error:
            problems += error.diagnostics
    if problems:
        raise PolicyError(problems)
    return sources


def policies_in(directory: str) -> list[str]:
    """The paths of the policies in a directory, sorted. Raises OSError."""
    return sorted(os.path.join(directory, name) for name in os.listdir(directory) if is_policy(name))


def _named_by(path: str, owners: Owners, problems: list[Diagnostic]) -> list[str]:
    """The files that a path stands for; what is wrong with it goes to `problems`."""
    try:
        return _files_at(path, owners)
    except PolicyError as error:
        problems += error.diagnostics
    return []


def _files_at(path: str, owners: Owners) -> list[str]:
    _require_safe_way(path, owners)
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return [path]
        found = policies_in(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    _require_unshared(path)
    if not found:
        hint = "policies are called `NAME.yaml`; to have none, leave `--policy` out"
        raise _problem("no-policies", f"there is no policy in the directory {quoted(path)}", hint)
    if len(found) > MAX_FILES:
        message = f"there are {len(found)} policies in {quoted(path)}, more than {MAX_FILES}"
        raise _problem("too-many-policies", message, "put them together")
    return found


def _read(path: str, owners: Owners) -> PolicyFile:
    _require_safe_way(path, owners)
    try:
        # Opening a fifo or a device does something to it; a descriptor that is a path only doesn't.
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            found = _require_safe_file(path, place, owners)
            return PolicyFile(path, _content(place), sighting_of(found))
        finally:
            os.close(place)
    except OSError as error:
        raise _unreadable(path, error) from error


def _content(place: int) -> bytes:
    """What is in the file, and no more of it than shows that it is too long."""
    fd = os.open(procfs.path_of(place), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _require_safe_file(path: str, place: int, owners: Owners) -> os.stat_result:
    found = os.fstat(place)
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise _problem(
            "not-a-file", f"{quoted(path)} is {kind}, not a file", "name a file, or a directory of files"
        )
    _require_owner(path, found, owners)
    if found.st_mode & _OTHERS_MAY_WRITE and not _is_read_only(place):
        raise _open_to_others(path, "the policy")
    return found


def _require_unshared(directory: str) -> None:
    # With the sticky bit others cannot take policies away, but still add some, by links to files of root's.
    if os.stat(directory).st_mode & _OTHERS_MAY_WRITE and not _is_read_only(directory):
        raise _open_to_others(directory, "the directory of policies")


def _require_safe_way(path: str, owners: Owners) -> None:
    """Raise PolicyError if somebody else could make the path lead elsewhere."""
    for place in _places(trail(path)):
        try:
            found = os.lstat(place)
        except OSError as error:
            raise _unreadable(place, error) from error
        if stat.S_ISREG(found.st_mode):
            continue  # who may have written it is asked of the open file
        _require_owner(place, found, owners)
        open_to_others = found.st_mode & _OTHERS_MAY_WRITE and not found.st_mode & stat.S_ISVTX
        if stat.S_ISDIR(found.st_mode) and open_to_others and not _is_read_only(place):
            raise _open_to_others(place, "a directory on the way to the policy")


def _is_read_only(place: str | int) -> bool:
    """Whether it is mounted read-only: so nobody may write there, as in a ConfigMap's mount, whose mode is 0777."""
    return bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _places(steps: tuple[Step, ...]) -> Iterator[str]:
    yield "/"
    for step in steps:
        yield step.path


def _require_owner(path: str, found: os.stat_result, owners: Owners) -> None:
    if not owners.include(found.st_uid):
        message = f"{quoted(path)} belongs to uid {found.st_uid}, who could change the policy"
        raise _problem(
            "unsafe-file", message, f"give it to root or to uid {os.geteuid()}, who the server runs as"
        )


def _open_to_others(path: str, what: str) -> PolicyError:
    message = f"{what}, {quoted(path)}, can be written by others than its owner"
    return _problem("unsafe-file", message, f"`chmod go-w {path}`: who can write the policy makes it")


def _unreadable(path: str, error: OSError) -> PolicyError:
    reason = (error.strerror or str(error)).lower()
    return _problem("unreadable-file", f"cannot read the policy {quoted(path)}: {reason}", None)


def _problem(code: str, message: str, hint: str | None) -> PolicyError:
    return PolicyError([Diagnostic(Severity.ERROR, code, message, None, hint)])
