"""The budget: whatever the limit of descriptors is, all parts of it fit into it together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.server.budget import LEAST_OWN, MOST_OWN, OF_A_CONNECTION, budget

LIMITS = st.integers(1, 1 << 21)


@given(st.integers(357, 1 << 21))
def test_all_parts_fit(limit: int) -> None:
    """With as many connections, waiting descriptors, namespaces and open files as there may be, some are left."""
    parts = budget(limit)
    used = parts.connections.total * OF_A_CONNECTION + parts.held.total + parts.namespaces + parts.stored

    assert limit - max(LEAST_OWN, min(MOST_OWN, limit // 8)) == used


@given(LIMITS)
def test_one_user_has_half_of_anything_at_most(limit: int) -> None:
    """But one whole message must fit."""
    parts = budget(limit)

    assert parts.connections.per_uid <= parts.connections.total / 2
    assert parts.handles.per_uid <= parts.handles.total / 2
    assert MAX_DESCRIPTORS <= parts.held.per_uid <= max(parts.held.total / 2, MAX_DESCRIPTORS)
    assert parts.staged.per_uid <= parts.stored / 2
    assert parts.staged.per_uid <= parts.staged.total <= parts.stored * 3 / 4
    assert parts.stored == 0 or parts.unclosed_of_one <= max(parts.stored / 16, 16)


@given(LIMITS)
def test_more_descriptors_never_mean_less_of_anything(limit: int) -> None:
    """Who raises the limit gets more."""
    less, more = budget(limit), budget(limit + 1)

    assert more.stored >= less.stored - OF_A_CONNECTION - 3
    assert all(
        new >= old
        for new, old in [
            (more.connections.total, less.connections.total),
            (more.held.total, less.held.total),
            (more.namespaces, less.namespaces),
            (more.handles.total, less.handles.total - OF_A_CONNECTION - 3),
        ]
    )


@pytest.mark.parametrize(("limit", "stored"), [(300, 0), (1024, 563), (20_000, 15_804), (524_288, 515_648)])
def test_most_are_for_what_is_stored(limit: int, stored: int) -> None:
    """All but a few of a high limit."""
    assert stored == budget(limit).stored


def test_the_server_itself_has_some_whatever_the_limit() -> None:
    """So that it can start, and say what is wrong."""
    assert 0 == budget(LEAST_OWN).stored
