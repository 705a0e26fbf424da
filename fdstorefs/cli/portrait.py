"""What `stat` prints."""

import os

from fdstorefs.cli import owners
from fdstorefs.cli.columns import fields
from fdstorefs.cli.listing import permissions
from fdstorefs.cli.moment import to_the_second
from fdstorefs.cli.visible import visible
from fdstorefs.client.records import Description, Entry, Opener, Stasher

_ACCESS = {"r": "reading", "w": "writing", "rw": "reading and writing", "path": "nothing but its place"}
_CAN_HANG_UP = ("socket", "pipe", "eventfd", "pidfd", "seccomp_notify")
_GUARDED = "yes: the kernel enforces the policy on it wherever it goes"
_UNGUARDED = {
    "authority": "no: whoever opened it is none of the instance's users, so it is not the instance's to guard",
    None: "no: the kernel does not enforce the policy on it",
}


def portrait(description: Description) -> list[str]:
    """One line per thing worth knowing."""
    entry = description.entry
    lines = fields(
        [
            ("name", visible(entry.name)),
            ("kind", entry.kind + (", sealed" if entry.sealed else "")),
            ("what it is", _visible(entry.description)),
            ("open file", _open_file(entry)),
            ("open for", _ACCESS.get(entry.access or "", _visible(entry.access))),
            ("inode", _inode(entry)),
            ("owner", f"{_user(entry.uid)}, group {_group(entry.gid)}"),
            ("mode", f"{entry.mode & 0o7777:04o} {permissions(entry)}"),
            ("label", _visible(entry.label)),
            ("stashed by", None if entry.stasher is None else _stasher(entry.stasher)),
            ("opened by", None if entry.opener is None else _opener(entry.opener)),
            ("guarded", _guarded(entry)),
            ("created", to_the_second(entry.created)),
            ("changed", to_the_second(entry.changed)),
            ("expires", None if entry.expires is None else to_the_second(entry.expires)),
            ("on hang-up", _on_hang_up(entry)),
        ]
    )
    if description.details:
        details = fields((visible(topic), visible(said)) for topic, said in description.details.items())
        lines += ["", *details]
    return lines


def _visible(text: str | None) -> str | None:
    return None if text is None else visible(text)


def _open_file(entry: Entry) -> str | None:
    if entry.file is None:
        return None
    names = "one name" if entry.links == 1 else f"{entry.links} names"
    return f"number {entry.file}, {names}"


def _inode(entry: Entry) -> str | None:
    if entry.inode is None or entry.device is None:
        return None
    device = f"{os.major(entry.device)}:{os.minor(entry.device)}"
    filesystem = "" if entry.filesystem is None else f" ({visible(entry.filesystem)})"
    return f"{entry.inode} on device {device}{filesystem}"


def _user(uid: int) -> str:
    name = owners.user(uid)
    return name if name == str(uid) else f"{visible(name)} ({uid})"


def _group(gid: int) -> str:
    name = owners.group(gid)
    return name if name == str(gid) else f"{visible(name)} ({gid})"


def _stasher(stasher: Stasher) -> str:
    command = "" if stasher.command is None else f"{visible(stasher.command)}, "
    return f"{command}pid {stasher.pid}, user {_user(stasher.uid)}"


def _opener(opener: Opener) -> str:
    user = "a user without a number here" if opener.uid is None else f"user {_user(opener.uid)}"
    capabilities = f"capabilities {opener.capabilities:#x}" if opener.capabilities else "no capabilities"
    return f"{user}, {capabilities}"


def _on_hang_up(entry: Entry) -> str | None:
    if entry.poll is None or entry.kind not in _CAN_HANG_UP:
        return None
    return "goes" if entry.poll else "stays"


def _guarded(entry: Entry) -> str | None:
    if entry.guarded is None:
        return None
    if entry.guarded:
        return _GUARDED
    return _UNGUARDED.get(entry.unguarded) or f"no: {visible(entry.unguarded or '')}"
