"""The host's cgroups, kept classified in the kernel as they come and go."""

import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.cgroup_tree import CgroupTree
from fdstorefs.host import procfs
from fdstorefs.host.cgroups import find_hierarchy
from fdstorefs.server.loop import Loop, Timer

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
"""At least so long between two looks at the whole tree because of cgroups that nobody has told of."""

REST = 10
"""How many times as long as the look itself, during which all others wait."""


class Classified(Protocol):
    """Where cgroups are classified."""

    def cgroup_appeared(self, number: int, path: str) -> None:
        """Classify one."""

    def cgroup_gone(self, number: int) -> None:
        """One is no more."""


class Cgroups:
    """Follows the version 2 hierarchy; without one, no cgroup is known, and what policies say of them is unknown."""

    def __init__(self, loop: Loop, hierarchy: str | None = None) -> None:
        """Raises OSError if directories cannot be watched."""
        self._loop = loop
        self._classified: Classified | None = None
        self._may_look_at = float("-inf")
        self._timer: Timer | None = None
        self._tree: CgroupTree | None = None
        hierarchy = hierarchy or find_hierarchy(procfs.mounts())
        if hierarchy is None:
            log.warning("there are no cgroups of version 2 here: rules that ask for a cgroup deny")
            return
        self._tree = CgroupTree(hierarchy.rstrip("/"), self._appeared, self._gone)

    @property
    def known(self) -> Mapping[int, str]:
        """The path of each cgroup by its number."""
        return {} if self._tree is None else self._tree.known

    def follow(self, classified: Classified) -> None:
        """From now on classify each that comes. Those that are known are classified already."""
        self._classified = classified
        if self._tree is not None:
            self._loop.register(self._tree.fileno(), self._on_events)

    def look_for(self, number: int) -> None:
        """Somebody was denied something because his cgroup is not classified yet: do it now."""
        tree = self._tree
        if tree is None:
            return
        self.catch_up()
        path = tree.known.get(number)
        if path is not None:
            self._appeared(number, path)
        elif monotonic() >= self._may_look_at:
            self._look(tree)

    def catch_up(self) -> None:
        """Take note of what the kernel has told of; if that was not everything, look at all as soon as it may be."""
        tree = self._tree
        if tree is None or tree.catch_up() or self._timer is not None:
            return
        log.warning("cgroups: they came faster than they could be followed; all are looked at again")
        if monotonic() >= self._may_look_at:
            self._look(tree)
        else:
            self._timer = self._loop.call_at(
                self._may_look_at, lambda: self._carefully(lambda: self._look(tree))
            )

    def _look(self, tree: CgroupTree) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        begun = monotonic()
        tree.look_again()
        ended = monotonic()
        self._may_look_at = ended + max(LOOK_AGAIN_SECONDS, REST * (ended - begun))

    def close(self) -> None:
        """Follow them no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tree is not None:
            self._loop.unregister(self._tree.fileno())
            self._tree.close()

    def _on_events(self, _events: int) -> None:
        self._carefully(self.catch_up)

    def _carefully(self, follow: Callable[[], None]) -> None:
        try:
            follow()
        except Exception:
            # The loop would drop the watch for good. What is not classified is denied, and looked for again.
            log.exception("cgroups could not be followed for a moment")

    def _appeared(self, number: int, path: str) -> None:
        if self._classified is not None:
            self._tell(lambda classified: classified.cgroup_appeared(number, path))

    def _gone(self, number: int) -> None:
        if self._classified is not None:
            self._tell(lambda classified: classified.cgroup_gone(number))

    def _tell(self, act: Callable[[Classified], None]) -> None:
        assert self._classified is not None
        try:
            act(self._classified)
        except KernelError as error:
            log.error("a cgroup is not classified, so rules that ask for it deny: %s", error)
