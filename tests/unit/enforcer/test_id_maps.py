"""Id maps are taken as the kernel shows them, and put together where they go on."""

import os

import pytest

from fdstorefs.bpf.rows import Extent
from fdstorefs.enforcer import id_maps
from fdstorefs.enforcer.id_maps import extents_of, joined
from fdstorefs.errors import NotSupported
from fdstorefs.host.procfs import IdRange


def test_lines_that_go_on_are_one() -> None:
    """In whatever order they stand."""
    lines = [Extent(1, 100001, 9), Extent(0, 100000, 1), Extent(10, 5000, 5)]

    assert (Extent(0, 100000, 10), Extent(10, 5000, 5)) == joined(lines)


def test_a_gap_on_either_side_keeps_them_apart() -> None:
    """Joined, ids would mean others than they do."""
    lines = [Extent(0, 100000, 1), Extent(1, 100002, 1), Extent(3, 100003, 1)]

    assert tuple(lines) == joined(lines)


def test_our_own_map_covers_our_own_uid() -> None:
    """It is read from the kernel."""
    found = extents_of("uid", os.getpid())

    assert any(each.inner <= os.getuid() < each.inner + each.count for each in found)


def test_more_ranges_than_programs_look_at_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than leaving some ids out."""
    lines = [IdRange(2 * number, 3 * number, 1) for number in range(9)]
    monkeypatch.setattr(id_maps.procfs, "id_map", lambda _kind, _pid: lines)

    with pytest.raises(NotSupported, match="9 ranges"):
        extents_of("uid", 1)
