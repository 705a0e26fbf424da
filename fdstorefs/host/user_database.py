"""The host's users and groups: from the names in a policy to numbers."""

import grp
import pwd
from collections.abc import Callable

from fdstorefs.host import procfs

INITIAL_USER_NAMESPACE = 0xEFFF_FFFD
"""The number that the kernel gives the first user namespace, on every host."""


class HostNames:
    """Looks names up as the C library does, in whatever nsswitch.conf names.

    That may ask a server in the network and wait: for the time when a policy is loaded, and away from the
    loop. Host ids are ids of the first user namespace; from inside another one they cannot be translated.
    """

    def __init__(self) -> None:
        self._is_host = all(
            (
                procfs.own_user_namespace() == INITIAL_USER_NAMESPACE,
                procfs.identity_is_whole("uid"),
                procfs.identity_is_whole("gid"),
            )
        )

    def user(self, name: str) -> int | None:
        """The uid of a user, None if there is none of this name."""
        return _found(lambda: pwd.getpwnam(name).pw_uid)

    def group(self, name: str) -> int | None:
        """The gid of a group, None if there is none of this name."""
        return _found(lambda: grp.getgrnam(name).gr_gid)

    def host_uid(self, uid: int) -> int | None:
        """What a uid of the host is in our user namespace, None if that cannot be told from here."""
        return uid if self._is_host else None

    def host_gid(self, gid: int) -> int | None:
        """What a gid of the host is in our user namespace, None if that cannot be told from here."""
        return gid if self._is_host else None


def _found(look_up: Callable[[], int]) -> int | None:
    try:
        return look_up()
    except (KeyError, ValueError):
        return None  # ValueError: what no name can be, such as one with a zero byte
