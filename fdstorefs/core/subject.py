"""The subject: the process that asks, as the kernel described it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

CAP_CHOWN = 0
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_FOWNER = 3
CAP_SYS_ADMIN = 21

Userns: TypeAlias = tuple[int, ...]
"""A user namespace: its number, then that of each namespace above it as far as the instance can see."""

FourIds: TypeAlias = tuple[int, int, int, int]
"""Real, effective, saved and file-system id."""


@dataclass(frozen=True, slots=True)
class ProcessDetails:
    """A process at one moment, for the audit log; ids as the instance's user namespace sees them.

    `start_time` is in clock ticks since boot, `read_at` in nanoseconds since boot (suspended time included).
    `groups` are the supplementary ones, in the kernel's order. Namespaces are inode numbers, and `cgroup_id`
    is the number that the kernel has for the cgroup (version 2). None where the kernel doesn't let us see.
    """

    pid: int
    tid: int
    start_time: int
    comm: str
    exe: str | None
    uids: FourIds | None
    gids: FourIds | None
    groups: tuple[int, ...] | None
    cap_effective: int
    userns: Userns | None
    mntns: int | None
    cgroup: str | None
    cgroup_id: int | None
    read_at: int


class Facts(Protocol):
    """What can be looked up about the process behind one request. None: it cannot be told.

    A subject asks each at most once, and only when a decision needs it.
    """

    def groups(self) -> frozenset[int] | None:
        """Its gid and its supplementary groups."""

    def capabilities(self) -> int | None:
        """Its effective capabilities over the instance's user namespace, as a mask."""

    def userns(self) -> Userns | None:
        """Its user namespace."""

    def cgroup(self) -> str | None:
        """The path of its cgroup, with a leading slash."""

    def details(self) -> ProcessDetails | None:
        """All that the audit log tells of it. May be up to a second old; `read_at` says."""


class NothingTold:
    """The facts about a process that cannot be seen."""

    def groups(self) -> frozenset[int] | None:
        """Its ids are all that is known."""
        return None

    def capabilities(self) -> int | None:
        """Likewise."""
        return None

    def userns(self) -> Userns | None:
        """Likewise."""
        return None

    def cgroup(self) -> str | None:
        """Likewise."""
        return None

    def details(self) -> ProcessDetails | None:
        """Likewise."""
        return None


NOTHING_TOLD: Final = NothingTold()


class _Pending(Enum):
    """Stands for a fact that nobody has asked for yet."""

    PENDING = 0


_PENDING: Final = _Pending.PENDING
_PendingType: TypeAlias = Literal[_Pending.PENDING]


def _nothing_told() -> Facts:
    return NOTHING_TOLD


class Subject:
    """A process that asks. `uid` and `gid` are those of the instance's user namespace.

    `known` is False where the kernel could not express the uid there (the overflow id): two strangers would
    look alike, so such a subject owns nothing and belongs to no group. `via` is the door that it came by:
    `mount` or `socket`.

    Facts are looked up when they are first asked for and kept for this request. To the mode bits a fact that
    cannot be told is a right that the subject does not have; a policy can tell the two apart.
    """

    __slots__ = (
        "_capabilities",
        "_cgroup",
        "_facts",
        "_groups",
        "_look_up",
        "_userns",
        "gid",
        "known",
        "owner_id",
        "pid",
        "uid",
        "via",
    )

    def __init__(
        self,
        uid: int,
        gid: int,
        pid: int = 0,
        *,
        known: bool = True,
        look_up: Callable[[], Facts] = _nothing_told,
        via: str = "mount",
    ) -> None:
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.known = known
        self.via = via
        # What owner ids are compared with; no id is negative.
        self.owner_id = uid if known else -1
        self._look_up = look_up
        self._facts: Facts | None = None
        self._groups: frozenset[int] | _PendingType | None = _PENDING
        self._capabilities: int | _PendingType | None = _PENDING
        self._userns: Userns | _PendingType | None = _PENDING
        self._cgroup: str | _PendingType | None = _PENDING

    @property
    def groups(self) -> frozenset[int] | None:
        """Its gid and supplementary groups; None if they cannot be told."""
        if self._groups is _PENDING:
            self._groups = self._told().groups()
        return self._groups

    @property
    def capabilities(self) -> int | None:
        """Its effective capabilities over the instance's user namespace; None if they cannot be told."""
        if self._capabilities is _PENDING:
            self._capabilities = self._told().capabilities()
        return self._capabilities

    @property
    def userns(self) -> Userns | None:
        """Its user namespace; None if it cannot be told."""
        if self._userns is _PENDING:
            self._userns = self._told().userns()
        return self._userns

    @property
    def cgroup(self) -> str | None:
        """The path of its cgroup; None if it cannot be told."""
        if self._cgroup is _PENDING:
            self._cgroup = self._told().cgroup()
        return self._cgroup

    def details(self) -> ProcessDetails | None:
        """All that the audit log tells of it, None if it cannot be told."""
        return self._told().details()

    def anew(self) -> "Subject":
        """The same process, to be looked at again: for a request that goes on for long."""
        return Subject(self.uid, self.gid, self.pid, known=self.known, look_up=self._look_up, via=self.via)

    def settle(self) -> None:
        """Look nothing up from now on: the process may go, and its number to another. Unknown stays unknown."""
        self._look_up = _nothing_told
        self._facts = NOTHING_TOLD

    def owns(self, uid: int) -> bool:
        """True if the subject is this user."""
        return self.owner_id == uid

    def in_group(self, gid: int) -> bool:
        """True if the subject is in this group, by its first or a supplementary group."""
        return self.known and (self.gid == gid or gid in (self.groups or ()))

    def capable(self, capability: int) -> bool:
        """True if the subject has this capability over the instance's user namespace."""
        return bool((self.capabilities or 0) >> capability & 1)

    def _told(self) -> Facts:
        if self._facts is None:
            self._facts = self._look_up()
        return self._facts

    def __repr__(self) -> str:
        return f"Subject(uid={self.uid}, gid={self.gid}, pid={self.pid}, known={self.known})"
