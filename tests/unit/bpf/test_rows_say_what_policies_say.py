"""Joining the rows gives the policy engine's verdict, with no kernel in between."""

from dataclasses import replace

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Key, Reason, Row, Table
from fdstorefs.bpf.rows import (
    IDENTITY,
    Extent,
    IdMap,
    Profile,
    TableSet,
    TooManyClasses,
    alternatives,
    covers,
    profile_of,
)
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import Evaluator
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import EntryFacts, Person, SubjectFacts
from fdstorefs.policy.vocabulary import Action, Effect, OpenerUnknown
from tests.unit.bpf.agree import INSTANCE, expected_answer
from tests.unit.bpf.deliveries import Lot, lots
from tests.unit.bpf.expected import Names
from tests.unit.bpf.interpreter import Interpreter
from tests.unit.bpf.questions import Cgroups, request

ROOT = Person(uid=0, capabilities=0, userns=(1,))
FILE = EntryFacts("a", kind="pipe", filesystem="tmpfs", access="r", stasher=ROOT, opener=ROOT, guarded=True)
BUILTIN = Profile(words=1, uses=abi.USES_ALL, capabilities=0b1011, connect=True)


def made(found: Lot, profile: Profile | None = None) -> TableSet:
    """The rows of a lot's tables, for programs that do just what it needs."""
    return TableSet(INSTANCE, found.tables, found.uids, found.gids, profile or profile_of([found.tables]))


def rows_of(found: Lot, cgroups: Cgroups) -> dict[Key, Row]:
    """All rows but those of classes."""
    tables = made(found)
    rows = dict(tables.rows())
    for number, path in cgroups.known():
        row = tables.cgroup_row(number, path)
        rows.update([] if row is None else [row])
    return rows


def compare(found: Lot) -> int:
    """Ask everything of a lot; how many questions there were."""
    cgroups, tables = Cgroups(found), made(found)
    rows = rows_of(found, cgroups)
    evaluator = Evaluator(found.tables, found.instance)
    first = 1
    for names in found.files:
        numbers = range(first, first + len(alternatives(names)))
        first += len(numbers)
        rows.update(tables.class_rows(numbers, names))
        records, judged = tables.class_records(names), Names(found.tables, names)
        for subject in found.subjects:
            asked = request(INSTANCE, found, names, subject, cgroups)
            actual = Interpreter(rows, INSTANCE).deliver(asked, numbers, records)

            assert expected_answer(found, cgroups, evaluator, judged, subject) == actual
    return len(found)


@pytest.mark.parametrize(("rules", "sets"), [(0, True), (1, True), (3, True), (9, True), (65, False)])
def test_for_any_policy_file_and_subject(rules: int, sets: bool) -> None:
    """Of any size, whatever is unknown, whoever is compared with whom."""
    cases = 1500 if rules else 100

    assert sum(compare(found) for found in lots(cases, rules=rules, requests=8, sets=sets)) >= cases


def test_no_row_has_a_bit_beyond_the_terms() -> None:
    """So rows fit into the words that the programs are compiled for."""
    for found in lots(2000, rules=6, requests=4):
        rows = rows_of(found, Cgroups(found))
        widths = [max(row).bit_length() for key, row in rows.items() if key.table != Table.SET]

        assert max(widths) <= found.tables.terms


def test_all_names_with_one_stasher_are_two_classes() -> None:
    """One to retrieve and one to take, however many names there are."""
    names = [replace(FILE, path=f"n{number}") for number in range(64)]

    assert [Action.RETRIEVE, Action.TAKE] == [action for _, action in alternatives(names)]


def test_five_stashers_are_too_many() -> None:
    """A class set has room for four."""
    names = [replace(FILE, stasher=Person(uid=uid, userns=(1,))) for uid in range(5)]

    assert 8 == len(alternatives(names[:4]))
    with pytest.raises(TooManyClasses):
        alternatives(names)


def test_two_openers_are_no_open_file() -> None:
    """Nor is no name at all."""
    for names in ([], [FILE, replace(FILE, opener=replace(ROOT, uid=1))]):
        with pytest.raises(ValueError, match="an open file has one opener"):
            alternatives(names)


def _policy(rule: Rule, opener_unknown: OpenerUnknown = OpenerUnknown.DENY) -> Policy:
    return Policy(name="p", rules=(rule,), opener_unknown=opener_unknown)


def _allows(policy: Policy, names: list[EntryFacts], uids: IdMap, subject: SubjectFacts) -> Reason:
    found = Lot(
        [policy],
        compile_policies([policy], generation=1),
        uids,
        uids,
        (1,),
        [tuple(names)],
        [subject],
        frozenset(),
    )
    tables, cgroups = made(found), Cgroups(found)
    numbers = range(1, 1 + len(alternatives(names)))
    rows = {**rows_of(found, cgroups), **dict(tables.class_rows(numbers, names))}
    asked = request(INSTANCE, found, names, subject, cgroups)
    return Interpreter(rows, INSTANCE).deliver(asked, numbers, tables.class_records(names)).reason


def test_nobody_can_be_an_id_that_is_not_there() -> None:
    """A uid that the policy names and the instance's namespace has not is that of no process."""
    uids = IdMap([Extent(0, 5000, 10)])
    rule = Rule(
        "r",
        Effect.ALLOW,
        frozenset({Action.RETRIEVE}),
        Conditions(subjects=(SubjectConditions(uid=Ids(known=frozenset({3, 5000}))),)),
    )
    found = Lot([], compile_policies([_policy(rule)], generation=1), uids, uids, (1,), [], [], frozenset())
    keys = {key.value for key in dict(made(found).rows()) if key.table == Table.UID}

    assert {5003, abi.OTHER, abi.UNKNOWN} == keys


def test_a_stasher_who_is_not_there_is_nobody() -> None:
    """A server that claims a stasher without an id has named no one who could be the subject."""
    uids = IdMap([Extent(0, 5000, 10)])
    rule = Rule(
        "r", Effect.ALLOW, frozenset({Action.RETRIEVE}), Conditions(stasher_uid=Ids(frozenset(), same=True))
    )
    stranger, somebody = (replace(FILE, stasher=Person(uid=uid, userns=(1,))) for uid in (70000, 3))
    subject = SubjectFacts(uid=3, gids=frozenset({0}), capabilities=0, userns=(1,))

    assert Reason.BY_RULE == _allows(_policy(rule), [somebody], uids, subject)
    assert Reason.BY_NO_RULE == _allows(_policy(rule), [stranger], uids, subject)


def test_nothing_is_assumed_of_an_opener() -> None:
    """A policy that takes the stasher for an unknown opener doesn't where the kernel knows openers."""
    rule = Rule(
        "r",
        Effect.ALLOW,
        frozenset({Action.RETRIEVE}),
        Conditions(opener_uid=Ids(frozenset({0}))),
    )
    names = [replace(FILE, opener=Person())]
    policy = _policy(rule, OpenerUnknown.ASSUME_STASHER)
    subject = SubjectFacts(uid=0, gids=frozenset({0}), capabilities=0, userns=(1,))

    assert Reason.BY_NO_RULE == _allows(policy, names, IDENTITY, subject)


def test_programs_are_for_what_is_asked() -> None:
    """Programs that do more will do, programs that do less will not."""
    less = Profile(words=1, uses=abi.USES_UID, capabilities=0b1, connect=False)

    assert covers(BUILTIN, less)
    assert not covers(less, BUILTIN)
    assert covers(less, profile_of([]))
    for part in ({"words": 2}, {"uses": abi.USES_GID}, {"capabilities": 0b10}, {"connect": True}):
        assert not covers(less, less._replace(**part))


def test_rows_that_programs_could_not_read_are_not_made() -> None:
    """Nor those of a generation that has no number there."""
    found = next(lots(1, rules=65, requests=1, sets=False))
    small = BUILTIN._replace(words=1)

    with pytest.raises(ValueError, match="compiled for less"):
        made(found, small)
    with pytest.raises(ValueError, match="generation"):
        made(replace(found, tables=replace(found.tables, generation=0)))


@pytest.mark.parametrize(
    ("terms", "words"), [(0, 1), (64, 1), (65, 2), (129, 4), (512, 8), (513, 16), (1024, 16)]
)
def test_words_are_a_power_of_two(terms: int, words: int) -> None:
    """The least that all terms fit into."""
    rules = [Rule(f"r{n}", Effect.ALLOW, frozenset({Action.RETRIEVE})) for n in range(terms)]

    assert words == profile_of([compile_policies([Policy("p", tuple(rules))])]).words


def test_ids_are_translated_both_ways() -> None:
    """Those that no extent has have no counterpart; -1 is nobody's anywhere."""
    ids = IdMap([Extent(0, 100000, 10), Extent(1000, 5, 1)])

    assert (100003, 5, None) == (ids.to_host(3), ids.to_host(1000), ids.to_host(10))
    assert (3, 1000, None) == (ids.to_instance(100003), ids.to_instance(5), ids.to_instance(3))
    assert (None, 0) == (IDENTITY.to_host(0xFFFF_FFFF), IDENTITY.to_host(0))
    assert (abi.Range(100000, 10), abi.Range(5, 1)) == ids.ranges
