"""A schedule knows what is next, whatever is put on it, moved and taken off."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.schedule import FEW, Schedule

ITEMS = st.integers(0, 5)
TIMES = st.integers(0, 20)
STEPS = st.one_of(
    st.tuples(st.just("put"), ITEMS, st.none() | TIMES),
    st.tuples(st.just("put all"), ITEMS, TIMES),
    st.tuples(st.just("take"), TIMES, st.integers(1, 4)),
)


@given(st.lists(STEPS, max_size=60))
def test_it_is_as_a_plain_table_would_be(steps: list[tuple[str, int, int]]) -> None:
    """What is due, in order, no more than asked for; and whoever is told of the nearest time knows it."""
    schedule, table, told = Schedule[int](), {}, [None]
    schedule.nearest_changed = told.append  # type: ignore[assignment]  # the list holds what it is told
    for what, first, second in steps:
        if what == "put all":
            schedule.put_all((item, second) for item in range(first))
            table |= dict.fromkeys(range(first), second)
        elif what == "put":
            schedule.put(first, second)
            table[first] = second
            if second is None:
                del table[first]
        else:
            due = schedule.take_due(first, second)
            times = [table.pop(item) for item in due]

            assert times == sorted(times)
            assert len(due) == second or all(when > first for when in table.values())
            assert all(when <= first for when in times)
            assert len(due) <= second
            assert all(when >= times[-1] for when in table.values()) if times else True

        nearest = min(table.values(), default=None)
        assert (nearest, nearest, len(table)) == (schedule.nearest, told[-1], len(schedule))
    assert all(before != after for before, after in pairwise(told))


def test_what_is_put_off_again_and_again_takes_no_room() -> None:
    """A lease that is renewed for ever."""
    schedule = Schedule[str]()
    schedule.put("first", 0)
    for when in range(1, 10_000):
        schedule.put("lease", when)

    assert schedule.places <= 2 * 2 + FEW + 1
    assert ["first", "lease"] == schedule.take_due(10_000, 10)


def test_at_the_same_time_they_go_in_the_order_they_came() -> None:
    """Also where one can't be compared with the other."""
    schedule = Schedule[object]()
    items = [object() for _ in range(5)]
    for item in items:
        schedule.put(item, 7)

    assert items == schedule.take_due(7, 10)
