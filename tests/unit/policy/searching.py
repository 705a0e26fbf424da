"""Looks through many generated cases, the same in every run."""

from collections.abc import Callable, Iterator
from random import Random

from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import Request
from tests.unit.policy.case import Case, shown
from tests.unit.policy.generated import Generator
from tests.unit.policy.generated_requests import Requests
from tests.unit.policy.smaller import smallest


def some(seed: int, rules: int, requests: int, *, sets: bool = True) -> tuple[list[Policy], list[Request]]:
    """Policies with so many rules together, and so many requests about them."""
    random = Random(seed)
    # The more rules there are, the more each must ask for, or all of them would match everything.
    often = random.choice((0.1, 0.2, 0.4)) if rules < 32 else random.choice((0.3, 0.5))
    generator = Generator(random, often=often, forbids=random.choice((0.1, 0.3)))
    policies = generator.policies(rules, sets=sets)
    ask = Requests(generator, policies)
    return policies, [ask.request() for _ in range(requests)]


def cases(number: int, *, rules: int = 9, requests: int = 10) -> Iterator[Case]:
    """At least so many cases, of none up to so many rules."""
    for seed in range(number // requests + 1):
        policies, asked = some(seed, seed % (rules + 1), requests)
        yield from (Case(policies, request) for request in asked)


def must_hold(broken: Callable[[Case], bool], number: int = 2000) -> None:
    """Fail with the smallest such case if any of so many cases is broken."""
    for case in cases(number):
        if broken(case):
            raise AssertionError(shown(smallest(case, broken)))
