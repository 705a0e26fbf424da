"""Who may have an instance started for a container: whoever may do everything in its user namespace.

As the kernel reckons it (see user_namespaces(7)), by user and namespace: root of a user namespace may do everything
there and in those below, and so may, from the one above, the user who owns it. Capabilities are not asked about: they
are known of a process, which may execute another program after it has asked.
"""

import os

from fdstorefs.core.subject import Subject
from fdstorefs.errors import Denied
from fdstorefs.host import procfs
from fdstorefs.host.user_namespaces import HeldNamespace

_ROOT = 0


def require(subject: Subject, users: int) -> None:
    """Raise Denied unless the subject may do everything in the user namespace that is open here."""
    if not may(subject, users):
        raise Denied(
            f"uid {subject.uid} may not do everything in that container's user namespace",
            hint="ask as root, as the container's root, or as the user who owns its user namespace",
        )


def may(subject: Subject, users: int) -> bool:
    """Whether it may."""
    own = subject.userns
    if own is None or not subject.known:
        return False
    held = HeldNamespace(os.dup(users))
    if own[0] not in held.numbers:
        return False
    at = held.numbers.index(own[0])
    return (at > 0 and held.owners[at - 1] == subject.uid) or _is_root(subject, own[0])


def _is_root(subject: Subject, own: int) -> bool:
    if own == procfs.own_user_namespace():
        return subject.uid in (_ROOT, os.geteuid())
    try:
        mapped = procfs.id_map("uid", subject.pid)
    except OSError:
        return False  # it has ended
    return any(each.inside == _ROOT and each.outside == subject.uid for each in mapped)
