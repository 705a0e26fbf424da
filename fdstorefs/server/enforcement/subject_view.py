"""The subject as a policy sees it: what cannot be told is UNKNOWN."""

from fdstorefs.core.subject import Subject
from fdstorefs.policy.request import UNKNOWN, Unknown, Userns


class SubjectView:
    """The policy's view of a subject of the core. Facts are looked up when a rule asks for them."""

    __slots__ = ("_subject", "uid")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.uid: int | Unknown = subject.uid if subject.known else UNKNOWN

    @property
    def gids(self) -> frozenset[int] | Unknown:
        """Its gid and supplementary groups."""
        groups = self._subject.groups
        return UNKNOWN if groups is None else groups

    @property
    def capabilities(self) -> int | Unknown:
        """Its effective capabilities over the instance's user namespace, as a mask."""
        capabilities = self._subject.capabilities
        return UNKNOWN if capabilities is None else capabilities

    @property
    def userns(self) -> Userns | Unknown:
        """Its user namespace."""
        userns = self._subject.userns
        return UNKNOWN if userns is None else userns

    @property
    def cgroup(self) -> str | Unknown:
        """The path of its cgroup."""
        cgroup = self._subject.cgroup
        return UNKNOWN if cgroup is None else cgroup
