"""Names: what turns user and group names, and ids of the host, into the instance's ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Names(Protocol):
    """Whoever knows the user database and the id map. Ids are those of the instance's user namespace."""

    def user(self, name: str) -> int | None:
        """The uid of a user; None: there is no such user."""

    def group(self, name: str) -> int | None:
        """The gid of a group; None: there is no such group."""

    def host_uid(self, uid: int) -> int | None:
        """What a uid of the host is in the instance; None: it can't be told here."""

    def host_gid(self, gid: int) -> int | None:
        """What a gid of the host is in the instance; None: it can't be told here."""


@dataclass(frozen=True, slots=True)
class FixedNames:
    """Names that are given beforehand. `host_uids` and `host_gids` None: the same as in the instance."""

    users: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    host_uids: Mapping[int, int] | None = None
    host_gids: Mapping[int, int] | None = None

    def user(self, name: str) -> int | None:
        """The uid given for the name."""
        return self.users.get(name)

    def group(self, name: str) -> int | None:
        """The gid given for the name."""
        return self.groups.get(name)

    def host_uid(self, uid: int) -> int | None:
        """The uid given for the host's uid."""
        return uid if self.host_uids is None else self.host_uids.get(uid)

    def host_gid(self, gid: int) -> int | None:
        """The gid given for the host's gid."""
        return gid if self.host_gids is None else self.host_gids.get(gid)
