"""Interleaved rounds: in each, every contestant of every contest runs once, in an order drawn anew.

A wake-up of a process costs between 20 and 90 us on one and the same virtual machine, depending on the
minute. Numbers of different minutes say nothing about each other. Those of one round do.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.outcome import Row, Target

LEAST_ROUNDS = 3
"""Rounds that are played even when time is up, unless fewer are wanted: fewer have no quartiles."""

Run = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Contest:
    """One operation and, by contestant, what runs a batch and returns what one operation cost, in `unit`."""

    operation: str
    unit: str
    runs: Mapping[str, Run]
    peer: str | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to play: `rounds`, but no more than `seconds` (after `LEAST_ROUNDS`).

    `warm_up` plays one more before, which does not count: of no use where each run starts its own servers.
    """

    rounds: int
    seconds: float
    quick: bool = False
    warm_up: bool = True


def play(contests: Sequence[Contest], plan: Plan, order: random.Random | None = None) -> list[Row]:
    """Play the rounds; returns what each contestant needed in each."""
    order = order or random.Random()
    series: list[dict[str, list[float]]] = [{name: [] for name in contest.runs} for contest in contests]
    end = time.monotonic() + plan.seconds
    for number in range(0 if plan.warm_up else 1, plan.rounds + 1):
        if number > LEAST_ROUNDS and time.monotonic() > end:
            break
        for contest, found in order.sample(list(zip(contests, series, strict=True)), len(contests)):
            _play_one(contest, found, order, keep=number > 0)
    return [
        Row(contest.operation, contest.unit, found, contest.peer, contest.target)
        for contest, found in zip(contests, series, strict=True)
    ]


def _play_one(contest: Contest, found: dict[str, list[float]], order: random.Random, *, keep: bool) -> None:
    for name in order.sample(list(contest.runs), len(contest.runs)):
        value = contest.runs[name]()
        if keep:
            found[name].append(value)
