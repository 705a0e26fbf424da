"""Statistics of the benchmarks: quartiles, ratios of the same round, targets."""

import pytest

from benchmarks.outcome import Outcome, Row, Target
from benchmarks.spread import Spread, ratios, spread


def test_quartiles_lie_between_values_where_none_is_there() -> None:
    """Four values: the quartiles are interpolated, the ends are the values themselves."""
    found = spread([4.0, 1.0, 3.0, 2.0])

    assert Spread(1.0, 1.75, 2.5, 3.25, 4.0) == found


def test_a_single_value_is_its_own_spread() -> None:
    """One round is enough to have numbers, though they say little."""
    assert Spread(7.0, 7.0, 7.0, 7.0, 7.0) == spread([7.0])


def test_no_values_have_no_spread() -> None:
    """Nothing measured is an error, not a zero."""
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_a_slow_round_cancels_out_of_the_ratios() -> None:
    """A machine that is three times as slow in one round changes values, and no ratio."""
    assert [0.5, 0.5, 0.5] == ratios([10.0, 30.0, 10.0], [20.0, 60.0, 20.0])


def test_rounds_that_do_not_belong_together_are_not_compared() -> None:
    """A ratio needs both values of a round."""
    with pytest.raises(ValueError, match="2 rounds cannot be compared with 1"):
        ratios([1.0, 2.0], [1.0])


def _row(target: Target | None) -> Row:
    series = {"ours in C": [8.0, 9.0, 10.0], "ours in Python": [30.0, 20.0, 40.0], "peer": [10.0, 10.0, 10.0]}
    return Row("retrieve", "us", series, "peer", target)


def test_ratios_are_taken_round_by_round_and_then_spread() -> None:
    """The median of ratios, not the ratio of medians."""
    found = _row(None).ratios("ours in Python")

    assert found == Spread(2.0, 2.5, 3.0, 3.5, 4.0)


def test_the_better_contestant_decides_whether_a_target_is_met() -> None:
    """One of ours is enough to meet a target that names both."""
    row = _row(Target(1.0, "ratio", ("ours in C", "ours in Python")))

    assert row.best() == "ours in C"
    assert row.meets_target() is True


def test_a_target_is_missed_by_those_it_names() -> None:
    """A contestant that the target does not name cannot meet it."""
    assert _row(Target(1.0, "ratio", ("ours in Python",))).meets_target() is False


def test_a_target_of_a_value_needs_no_peer() -> None:
    """Milliseconds can be aimed for without anybody beside us."""
    row = Row("start", "ms", {"ours": [120.0, 140.0]}, None, Target(150, "value", ("ours",)))

    assert row.ratios("ours") is None
    assert row.meets_target() is True


def test_an_outcome_comes_back_from_json_as_it_was() -> None:
    """What is written down is enough to make the tables again."""
    outcome = Outcome("n", "Title", [_row(Target(1.0, "ratio", ("ours in C",))), _row(None)], ["A note."])

    assert outcome == Outcome.from_json(outcome.as_json())
