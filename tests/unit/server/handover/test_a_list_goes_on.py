"""A list goes on behind what has been said, whatever there is, and wherever it was."""

from collections.abc import Generator

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.access import Target
from fdstorefs.core.node import Box
from fdstorefs.server.varlink.listing import rest_of

NAMES = st.sampled_from(["a", "a!", "a-", "aa", "b", "\udc80"])
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=20)
BOX = Box(1, 0, 0, 0, 0, 0)


def walk(paths: list[str], closed: list[bool]) -> Generator[tuple[str, Target | None]]:
    """As a store walks: sorted by the parts of paths, and with pauses."""
    try:
        for path in paths:
            yield "", None
            yield path, Target(BOX, path)
    finally:
        closed.append(True)


@given(PATHS, st.data())
def test_the_rest_comes(found: set[tuple[str, ...]], data: st.DataObject) -> None:
    """What has been said and the rest are all, each once; and the walk is closed."""
    # In a box there is something only if there is the box.
    parts = {part[:end] for part in found for end in range(1, len(part) + 1)}
    paths = ["/".join(part) for part in sorted(parts)]
    count = data.draw(st.integers(0, len(paths)))
    said = paths[:count]
    closed: list[bool] = []
    rest = [path for path, target in rest_of(said[-1] if said else "", walk(paths, closed)) if target]

    assert (paths, [True]) == (said + rest, closed)
