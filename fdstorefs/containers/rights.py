"""Who may have an instance started for a container: whoever may do everything in its user namespace.

As the kernel reckons it (see user_namespaces(7)), by user and namespace: root of a user namespace may do everything
there and in those below, and so may, from the one above, the user who owns it. Root of the service's own namespace
needs CAP_SYS_ADMIN as well: there are containers whose root is the host's, without that.
"""

import os

from fdstorefs.containers.record import Process, Record
from fdstorefs.core.subject import CAP_SYS_ADMIN, Subject, Userns
from fdstorefs.errors import Denied
from fdstorefs.host import procfs
from fdstorefs.host.user_namespaces import HeldNamespace, open_user_namespace_of

_ROOT = 0


def require(subject: Subject, users: int) -> None:
    """Raise Denied unless the subject may do everything in the user namespace that is open here."""
    if not may(subject, users):
        raise Denied(
            f"uid {subject.uid} may not do everything in that container's user namespace",
            hint="ask as root, as the container's root, or as the user who owns its user namespace",
        )


def require_owner(users: int, mounts: int) -> None:
    """Raise Denied unless the mount namespace that is open here belongs to that user namespace.

    Anybody may make a user namespace, and be root in it, and stay where he is: in a mount namespace that is not his.
    """
    if _owner_of(mounts) != os.fstat(users).st_ino:
        raise Denied(
            "the mount namespace of that process is not its user namespace's own",
            hint="name a process of the container itself",
        )


def _owner_of(mounts: int) -> int | None:
    try:
        owner = open_user_namespace_of(mounts)
    except PermissionError:
        return None  # not below ours, and so nobody's who could ask
    try:
        return os.fstat(owner).st_ino
    finally:
        os.close(owner)


def may_end(subject: Subject, record: Record) -> bool:
    """Whether it may end the instance: it may do everything in its user namespace, or in our own and so in all."""
    processes = [each for each in (record.first, record.server) if each is not None]
    return any(_may_beside(subject, each, record.users) for each in processes) or _may_here(subject)


def _may_beside(subject: Subject, process: Process, number: int) -> bool:
    """Whether it may in the user namespace of this process, and that is the one with this number."""
    try:
        users = procfs.open_namespace("user", process.pid)
    except OSError:
        return False
    try:
        return process.is_there and os.fstat(users).st_ino == number and may(subject, users)
    finally:
        os.close(users)


def _may_here(subject: Subject) -> bool:
    users = procfs.open_namespace("user")
    try:
        return may(subject, users)
    finally:
        os.close(users)


def may(subject: Subject, users: int) -> bool:
    """Whether it may."""
    own = subject.userns
    if own is None or not subject.known:
        return False
    held = HeldNamespace(os.dup(users))
    if own[0] not in held.numbers:
        return False
    at = held.numbers.index(own[0])
    return (at > 0 and held.owners[at - 1] == subject.uid) or _is_root(subject, own)


def _is_root(subject: Subject, own: Userns) -> bool:
    at_home = own[0] == procfs.own_user_namespace()
    # It may have gone into a namespace of its own since, where it is root, and its map and capabilities are of there.
    # There is no way back, so if it is still where it was, what was read is of here.
    return (_may_at_home(subject) if at_home else _is_mapped(subject)) and subject.anew().userns == own


def _may_at_home(subject: Subject) -> bool:
    return subject.capable(CAP_SYS_ADMIN) if subject.uid == _ROOT else subject.uid == os.geteuid()


def _is_mapped(subject: Subject) -> bool:
    try:
        mapped = procfs.id_map("uid", subject.pid)
    except OSError:
        return False  # it has ended
    return any(each.inside == _ROOT and each.outside == subject.uid for each in mapped)
