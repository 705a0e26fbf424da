"""Interleaving: each round runs everything once, in an order of its own."""

import random
from collections.abc import Callable

from benchmarks.rounds import LEAST_ROUNDS, Contest, Plan, play


class Journal:
    """Contestants that write down when they run, and take as many us as have run before them."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def contestant(self, name: str) -> Callable[[], float]:
        """A run that notes `name`."""

        def run() -> float:
            self.ran.append(name)
            return float(len(self.ran))

        return run


def _contests(journal: Journal) -> list[Contest]:
    def contest(operation: str, names: str) -> Contest:
        return Contest(operation, "us", {name: journal.contestant(operation + name) for name in names})

    return [contest("a", "xyz"), contest("b", "xy")]


def _rounds_of(ran: list[str]) -> list[list[str]]:
    return [ran[at : at + 5] for at in range(0, len(ran), 5)]


def test_every_contestant_runs_once_a_round() -> None:
    """No contestant has a part of the time for itself."""
    journal = Journal()
    play(_contests(journal), Plan(rounds=6, seconds=60), random.Random(1))

    assert all(sorted(one) == ["ax", "ay", "az", "bx", "by"] for one in _rounds_of(journal.ran))


def test_the_order_is_drawn_anew_for_each_round() -> None:
    """Nobody always runs after the same neighbour."""
    journal = Journal()
    play(_contests(journal), Plan(rounds=20, seconds=60), random.Random(1))

    assert len({tuple(one) for one in _rounds_of(journal.ran)}) > 5


def test_the_first_round_warms_up_and_does_not_count() -> None:
    """Six rounds are played for five values, and none of them is from the first."""
    journal = Journal()
    rows = play(_contests(journal), Plan(rounds=5, seconds=60), random.Random(1))

    assert len(journal.ran) == 6 * 5
    assert all(len(values) == 5 and min(values) > 5 for row in rows for values in row.series.values())


def test_without_warming_up_every_round_counts() -> None:
    """Where each run starts from nothing there is nothing to warm up."""
    journal = Journal()
    rows = play(_contests(journal), Plan(rounds=2, seconds=60, warm_up=False), random.Random(1))

    assert len(journal.ran) == 2 * 5
    assert {2} == {len(values) for row in rows for values in row.series.values()}


def test_when_time_is_up_a_few_rounds_are_played_all_the_same() -> None:
    """Time limits rounds, but never to fewer than have quartiles; all contestants have equally many."""
    rows = play(_contests(Journal()), Plan(rounds=1000, seconds=0), random.Random(1))

    assert {LEAST_ROUNDS} == {len(values) for row in rows for values in row.series.values()}
