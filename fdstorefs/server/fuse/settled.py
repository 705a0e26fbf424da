"""Settled subjects: whoever opened a directory, as he was then, told from one server to another."""

from dataclasses import dataclass

from fdstorefs.core.subject import ProcessDetails, Subject, Userns
from fdstorefs.host.user_namespaces import HeldChain, HeldNamespace
from fdstorefs.server.kernel_facts import Home
from fdstorefs.server.passed import Packing, Told, Unpacking


@dataclass(frozen=True, slots=True)
class Remembered:
    """The facts that were looked up in time. None for those that were not."""

    _groups: frozenset[int] | None
    _capabilities: int | None
    _userns: Userns | None
    _cgroup: str | None

    def groups(self) -> frozenset[int] | None:
        """As they were."""
        return self._groups

    def capabilities(self) -> int | None:
        """As they were."""
        return self._capabilities

    def userns(self) -> Userns | None:
        """As it was."""
        return self._userns

    def cgroup(self) -> str | None:
        """As it was."""
        return self._cgroup

    def details(self) -> ProcessDetails | None:
        """Nobody remembers those."""
        return None


def tell(subject: Subject, packing: Packing) -> Told:
    """What is known of a subject that is settled."""
    userns = subject.userns
    held = userns.held.descriptor if isinstance(userns, HeldChain) else None
    return {
        "uid": subject.uid,
        "gid": subject.gid,
        "pid": subject.pid,
        "known": subject.known,
        "groups": sorted(subject.groups) if subject.groups is not None else None,
        "capabilities": subject.capabilities,
        "userns": list(userns) if userns is not None else None,
        "held": packing.descriptor(held) if held is not None else None,
        "cgroup": subject.cgroup,
    }


def again(told: Told, unpacking: Unpacking, home: Home) -> Subject:
    """The same subject. Raises OSError where its user namespace is not to be had."""
    groups, userns = told["groups"], told["userns"]
    remembered = Remembered(
        frozenset(groups) if groups is not None else None,
        told["capabilities"],
        _userns(told, unpacking, home) if userns is not None else None,
        told["cgroup"],
    )
    return Subject(
        told["uid"], told["gid"], told["pid"], known=bool(told["known"]), look_up=lambda: remembered
    )


def _userns(told: Told, unpacking: Unpacking, home: Home) -> Userns:
    if told["held"] is None:
        return tuple(told["userns"])
    # By the namespace itself: the number of one that has gone is soon another's.
    return home.hold_again(HeldNamespace(unpacking.descriptor(told["held"])))
