"""The host's cgroups, kept classified in the kernel as they come and go."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.cgroup_tree import CgroupTree
from fdstorefs.host import procfs
from fdstorefs.host.cgroups import find_hierarchy
from fdstorefs.server.loop import Loop

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
"""Between two looks at the whole tree because of a cgroup that nobody has told of."""


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
        self._looked = float("-inf")
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
        tree.catch_up()
        path = tree.known.get(number)
        if path is not None:
            self._appeared(number, path)
        elif time.monotonic() - self._looked > LOOK_AGAIN_SECONDS:
            self._looked = time.monotonic()
            tree.look_again()

    def close(self) -> None:
        """Follow them no more."""
        if self._tree is not None:
            self._loop.unregister(self._tree.fileno())
            self._tree.close()

    def _on_events(self, _events: int) -> None:
        try:
            if self._tree is not None:
                self._tree.catch_up()
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
