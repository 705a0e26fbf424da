"""The subject: the process that asks, as the kernel described it."""

from collections.abc import Callable
from dataclasses import dataclass

CAP_CHOWN = 0
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_FOWNER = 3


@dataclass(slots=True, frozen=True)
class Credentials:
    """What a decision rarely needs and the server looks up only then.

    `groups` are supplementary groups; `capabilities` is the effective set where it counts for this instance
    (the process is in the instance's user namespace), else 0.
    """

    groups: frozenset[int] = frozenset()
    capabilities: int = 0


NOTHING_MORE = Credentials()


class Subject:
    """A process that asks. `uid` and `gid` are those of the instance's user namespace.

    `known` is False where the kernel could not express the uid there (the overflow id): two strangers would
    look alike, so such a subject owns nothing and belongs to no group.
    """

    __slots__ = ("_credentials", "_look_up", "gid", "known", "owner_id", "pid", "uid")

    def __init__(
        self,
        uid: int,
        gid: int,
        pid: int = 0,
        *,
        known: bool = True,
        look_up: Callable[[], Credentials] | None = None,
    ) -> None:
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.known = known
        # What owner ids are compared with; no id is negative.
        self.owner_id = uid if known else -1
        self._look_up = look_up
        self._credentials: Credentials | None = None

    @property
    def credentials(self) -> Credentials:
        """Groups and capabilities, looked up on first use and kept for this request."""
        if self._credentials is None:
            self._credentials = self._look_up() if self._look_up is not None else NOTHING_MORE
        return self._credentials

    def owns(self, uid: int) -> bool:
        """True if the subject is this user."""
        return self.owner_id == uid

    def in_group(self, gid: int) -> bool:
        """True if the subject is in this group, by its first or a supplementary group."""
        return self.known and (self.gid == gid or gid in self.credentials.groups)

    def capable(self, capability: int) -> bool:
        """True if the subject has this capability over the instance's user namespace."""
        return bool(self.credentials.capabilities >> capability & 1)

    def __repr__(self) -> str:
        return f"Subject(uid={self.uid}, gid={self.gid}, pid={self.pid}, known={self.known})"
