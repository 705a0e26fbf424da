"""Names for one instance: users and groups as the host knows them, the host's ids as the instance has them."""

from collections.abc import Callable
from functools import cache

from fdstorefs.bpf.rows import IdMap
from fdstorefs.policy.names import Names


class KnownUsers:
    """Asks for each name once, so that all instances get the same answer."""

    def __init__(self, names: Names) -> None:
        self.user: Callable[[str], int | None] = cache(names.user)
        self.group: Callable[[str], int | None] = cache(names.group)


class InstanceNames:
    """What a policy's names and `host:` ids are in an instance. Remembers which ids it was asked for."""

    def __init__(self, known: KnownUsers, uids: IdMap, gids: IdMap) -> None:
        self._known = known
        self._uids = uids
        self._gids = gids
        self.asked_uids: set[int] = set()
        self.asked_gids: set[int] = set()

    def user(self, name: str) -> int | None:
        """The uid of a user."""
        return self._known.user(name)

    def group(self, name: str) -> int | None:
        """The gid of a group."""
        return self._known.group(name)

    def host_uid(self, uid: int) -> int | None:
        """What a uid of the host is in the instance."""
        self.asked_uids.add(uid)
        return self._uids.to_instance(uid)

    def host_gid(self, gid: int) -> int | None:
        """What a gid of the host is in the instance."""
        self.asked_gids.add(gid)
        return self._gids.to_instance(gid)
