"""To know less never allows more, and what isn't there yet never forbids.

Why, with `unless` too: let false < true, and let *unknown* stand for either. Put UNKNOWN in place of a value, and
every condition on it stays what it was or becomes unknown. *And* and *not* of such values again stay or become
unknown. So a rule that was not true doesn't become true (no allow rule is gained), and one that was true or
unknown doesn't become false (no forbid rule is lost); under `unless` as anywhere. To know a box no longer for one
is the same: an allow rule that matches an entry of whatever kind also leads to it as a box.

OPEN is true where that serves the subject and false where it does not; so each allow rule stays or is gained,
each forbid rule stays or is lost.

The one exception has to be written down in a policy: `assume-stasher` puts another's values where the opener's
are unknown.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule
from fdstorefs.policy.request import OPEN, UNKNOWN, EntryFacts, Person, Request, SubjectFacts, Unsettled
from fdstorefs.policy.vocabulary import Action, Effect, OpenerUnknown
from tests.unit.policy.agreement import by_tables, evaluated
from tests.unit.policy.case import Case
from tests.unit.policy.oracle import OracleVerdict
from tests.unit.policy.searching import cases, must_hold

OF_PERSONS = ("uid", "capabilities", "userns")
OF_SUBJECTS = ("uid", "gids", "capabilities", "userns", "cgroup")


def test_to_know_less_never_allows_what_was_denied() -> None:
    """Whichever value of subject, entry or another name of it is no longer known."""
    must_hold(lambda case: any(_is_above(after, before) for before, after in _with_less(case, UNKNOWN)))


def test_what_is_not_there_yet_never_forbids_what_was_allowed() -> None:
    """Whichever value is open in place of what it was."""
    must_hold(lambda case: any(_is_above(before, after) for before, after in _with_less(case, OPEN)))


@pytest.mark.parametrize("unsettled", Unsettled)
def test_it_often_makes_a_difference(unsettled: Unsettled) -> None:
    """A value in whose place another stands changes many of the verdicts; so the other tests can fail."""
    changed = [case for case in cases(1000) if any(a != b for a, b in _with_less(case, unsettled))]

    assert len(changed) > 100


def test_who_assumes_the_stasher_allows_more_where_the_opener_is_unknown() -> None:
    """The exception: denied for a known opener, allowed where the stasher stands in its place."""
    own = Rule("own", Effect.ALLOW, frozenset({Action.RETRIEVE}), Conditions(opener_uid=Ids(same=True)))
    policies = [Policy("p", (own,), opener_unknown=OpenerUnknown.ASSUME_STASHER)]
    entry = EntryFacts("a", stasher=Person(uid=1), opener=Person(uid=2))
    known = Request(Action.RETRIEVE, entry, SubjectFacts(uid=1))
    unknown = replace(known, entry=replace(entry, opener=Person()))

    assert not evaluated(policies, known).allowed
    assert evaluated(policies, unknown).allowed


def _is_above(one: OracleVerdict, other: OracleVerdict) -> bool:
    return one.decided > other.decided or one.allowed > other.allowed


def _with_less(case: Case, unsettled: Unsettled) -> Iterator[tuple[OracleVerdict, OracleVerdict]]:
    """The verdict before and after each single value was replaced."""
    tables = compile_policies(case.policies)
    before = by_tables(tables, case.request)
    persons = ("stasher",) if _assumes_stasher(case) else ("stasher", "opener")
    for request in _requests(case.request, unsettled, persons):
        yield before, by_tables(tables, request)


def _assumes_stasher(case: Case) -> bool:
    return any(policy.opener_unknown is OpenerUnknown.ASSUME_STASHER for policy in case.policies)


def _requests(request: Request, unsettled: Unsettled, persons: tuple[str, ...]) -> Iterator[Request]:
    if unsettled is UNKNOWN:
        for subject in _each(request.subject, OF_SUBJECTS, unsettled):
            yield replace(request, subject=subject)
    for entry in _entries(request.entry, unsettled, persons):
        yield replace(request, entry=entry)
    for at, name in enumerate(request.also):
        for entry in _entries(name, unsettled, persons):
            yield replace(request, also=(*request.also[:at], entry, *request.also[at + 1 :]))


def _entries(entry: EntryFacts, unsettled: Unsettled, persons: tuple[str, ...]) -> Iterator[EntryFacts]:
    # No kind is open: that of an empty entry is `empty`.
    of_file = ("filesystem", "access", "guarded")
    names = ("kind", *of_file) if unsettled is UNKNOWN else of_file
    yield from _each(entry, names, unsettled)
    for name in persons:
        for person in _each(getattr(entry, name), OF_PERSONS, unsettled):
            yield replace(entry, **{name: person})


def _each(thing: Any, names: tuple[str, ...], unsettled: Unsettled) -> Iterator[Any]:
    yield from (replace(thing, **{name: unsettled}) for name in names)
