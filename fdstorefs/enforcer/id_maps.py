"""Id maps of user namespaces, as the host has them.

The kernel shows a map's outer side as the reader's user namespace has it, however deep the namespace is nested. So
what the enforcer reads, which is in the initial one, leads to the host's ids in one step.
"""

from collections.abc import Iterable

from fdstorefs.bpf.abi import RANGES
from fdstorefs.bpf.rows import Extent
from fdstorefs.errors import NotSupported
from fdstorefs.host import procfs

HIGHEST = 2**32 - 2
"""The highest id there is; the one above means `no id`."""

Extents = tuple[Extent, ...]


def extents_of(kind: str, pid: int) -> Extents:
    """The `uid` or `gid` map of a process's user namespace. NotSupported if it has more lines than programs look at."""
    found = joined(Extent(each.inside, each.outside, each.count) for each in procfs.id_map(kind, pid))
    if len(found) > RANGES:
        raise NotSupported(
            f"the user namespace of process {pid} maps {len(found)} ranges of {kind}s, and {RANGES} are followed",
            hint="map fewer, larger ranges",
        )
    return found


def joined(extents: Iterable[Extent]) -> Extents:
    """The same map, in order, and lines that go on where another ends put together."""
    found: list[Extent] = []
    for each in sorted(extents, key=lambda extent: extent.inner):
        last = found[-1] if found else None
        if last is not None and _goes_on(last, each):
            found[-1] = Extent(last.inner, last.outer, last.count + each.count)
        else:
            found.append(each)
    return tuple(found)


def _goes_on(former: Extent, later: Extent) -> bool:
    return (former.inner + former.count, former.outer + former.count) == (later.inner, later.outer)
