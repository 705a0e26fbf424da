"""The kernel refuses where it has not all that a verdict takes, and says so; in monitor mode too.

Each test begins with a delivery that is allowed, and takes something away.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.abi import Key, Reason, Table
from fdstorefs.bpf.rows import IDENTITY, Profile, alternatives, profile_of
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import EntryFacts, Person, SubjectFacts
from fdstorefs.policy.vocabulary import Action, Effect, Mode, Relation
from tests.unit.bpf.agree import INSTANCE, Asked, wide
from tests.unit.bpf.answer import Answer, refusal
from tests.unit.bpf.deliveries import Lot
from tests.unit.bpf.program import program
from tests.unit.bpf.questions import question, request

pytestmark = pytest.mark.usefixtures("kernel")

HERE = frozenset({Relation.SAME})
RULE = Rule(
    "everything-asked-for",
    Effect.ALLOW,
    frozenset({Action.RETRIEVE}),
    Conditions(
        stasher_uid=Ids(frozenset({1}), same=True),
        stasher_userns=HERE,
        opener_uid=Ids(frozenset({1}), same=True),
        opener_userns=HERE,
        opener_no_more=True,
        subjects=(
            SubjectConditions(
                uid=Ids(frozenset({2})),
                gid=Ids(frozenset({3})),
                cgroups=("/a",),
                capabilities=0b10,
                userns=HERE,
            ),
        ),
    ),
)
ALSO = Rule("and-of-everybody", Effect.ALLOW, frozenset({Action.RETRIEVE}), Conditions())
SUBJECT = SubjectFacts(uid=9, gids=frozenset({9}), capabilities=0b1, userns=(1,), cgroup="/b")
OTHER = Person(uid=8, capabilities=0b100, userns=(1,))
FILE = (EntryFacts("x", kind="pipe", filesystem="tmpfs", access="r", stasher=OTHER, opener=OTHER),)
LOOKED_UP = {
    Key(Table.SET, INSTANCE),
    Key(Table.EFFECT, INSTANCE),
    Key(Table.UID, INSTANCE, abi.OTHER),
    Key(Table.GID, INSTANCE, abi.OTHER),
    Key(Table.USERNS, INSTANCE, abi.Relation.SAME),
    Key(Table.CAPABILITY, INSTANCE, 1),
    Key(Table.STASHER_USERNS, INSTANCE, abi.Relation.SAME),
    Key(Table.OPENER_USERNS, INSTANCE, abi.Relation.SAME),
    Key(Table.NO_MORE, INSTANCE),
}
OF_CLASSES = {Key(Table.TERMS, 1), Key(Table.STASHER_SAME, 1), Key(Table.OPENER_SAME, 1)}
SET_OFFSET = abi.Request.LAYOUT.size
GROUPS_OFFSET = 12  # after instance, uid, known


class Delivery:
    """One that is allowed."""

    def __init__(self, *rules: Rule, mode: Mode = Mode.ENFORCE, profile: Profile | None = None) -> None:
        policies = [Policy("p", rules, mode=mode)]
        tables = compile_policies(policies, generation=5)
        self.lot = Lot(policies, tables, IDENTITY, IDENTITY, (1,), [FILE], [SUBJECT], frozenset({"/b"}))
        self.asked = Asked(self.lot, program(profile or wide(tables.terms)))
        self.numbers = self.asked.classify(FILE)
        self.request = request(INSTANCE, self.lot, FILE, SUBJECT, self.asked.cgroups)
        self.program = self.asked.program

    def question(self, **changes: object) -> bytes:
        """The question, with something else in its request."""
        records = self.asked.set.class_records(FILE)
        return question(replace(self.request, **changes), INSTANCE, self.numbers, records)  # type: ignore[arg-type]

    def answer(self, asked: bytes | None = None) -> Answer:
        return self.program.deliver(asked or self.question(), self.numbers)


@pytest.fixture
def delivery(kernel: None) -> Delivery:
    """One that is allowed."""
    found = Delivery(RULE, ALSO)

    assert found.answer() == Answer(allowed=True, decided=True, reason=Reason.BY_RULE, place=0, terms=0b10)
    return found


@pytest.mark.parametrize("key", sorted(LOOKED_UP, key=repr), ids=lambda key: Table(key.table).name)
def test_each_table(delivery: Delivery, key: Key) -> None:
    """A row that a verdict takes is not there."""
    delivery.program.remove(key)

    assert refusal(Reason.MISSING) == delivery.answer()


@pytest.mark.parametrize("key", sorted(OF_CLASSES, key=repr), ids=lambda key: Table(key.table).name)
def test_rows_of_a_class(delivery: Delivery, key: Key) -> None:
    """A class that this generation has nothing on is from another one."""
    delivery.program.remove(key)

    assert refusal(Reason.STALE) == delivery.answer()


def test_an_unknown_cgroup(delivery: Delivery) -> None:
    """Where a cgroup is not in the tables there is a row that says so; it is needed then."""
    numbers = {number for number, _ in delivery.asked.cgroups.known()}
    delivery.program.remove(Key(Table.CGROUP, INSTANCE, *numbers))

    assert delivery.answer().allowed
    delivery.program.remove(Key(Table.CGROUP, INSTANCE, abi.UNKNOWN))
    assert refusal(Reason.MISSING) == delivery.answer()


def test_what_stands_for_tables_that_nobody_asks() -> None:
    """Programs that look up more than these policies ask for."""
    found = Delivery(ALSO)

    assert found.answer().allowed
    found.program.remove(Key(Table.ANY, INSTANCE))
    assert refusal(Reason.MISSING) == found.answer()


def test_what_is_in_force() -> None:
    """Where policies differ in their mode, it must be known which terms are enforced."""
    found = Delivery(RULE, ALSO)
    rows = dict(found.asked.set.rows())
    flags, generation = rows[Key(Table.SET, INSTANCE)]
    found.program.add([(Key(Table.SET, INSTANCE), (flags & ~abi.ALL_ENFORCED, generation))])

    assert found.answer().allowed
    found.program.remove(Key(Table.ENFORCED, INSTANCE))
    assert refusal(Reason.MISSING) == found.answer()


def test_no_rows_at_all(delivery: Delivery) -> None:
    """No generation is in force."""
    delivery.program.withdraw()

    assert refusal(Reason.MISSING) == delivery.answer()


def _odd_sets() -> Iterator[tuple[str, int, int]]:
    flags = abi.MAGIC << 32 | abi.ENFORCING | abi.ALL_ENFORCED
    yield "another magic", flags ^ 1 << 32, 5
    yield "no generation", flags, 0
    yield "too long a generation", flags, 1 << 32


@pytest.mark.parametrize(
    ("main", "unless"), [each[1:] for each in _odd_sets()], ids=[each[0] for each in _odd_sets()]
)
def test_a_set_that_is_none(delivery: Delivery, main: int, unless: int) -> None:
    """Its row is there, and not what it should be."""
    delivery.program.add([(Key(Table.SET, INSTANCE), (main, unless))])

    assert refusal(Reason.MISSING) == delivery.answer()


def test_programs_that_can_do_less_than_is_asked() -> None:
    """A set that asks for what these programs are compiled without is not judged by them."""
    tables = compile_policies([Policy("p", (ALSO,))])
    found = Delivery(ALSO, profile=profile_of([tables]))

    assert found.answer().allowed
    flags, generation = dict(found.asked.set.rows())[Key(Table.SET, INSTANCE)]
    found.program.add([(Key(Table.SET, INSTANCE), (flags | abi.USES_UID, generation))])
    assert refusal(Reason.MISSING) == found.answer()


def _with_set(asked: bytes, instance: int, count: int) -> bytes:
    head = struct.pack("=II", instance, count)
    return asked[:SET_OFFSET] + head + asked[SET_OFFSET + len(head) :]


@pytest.mark.parametrize(
    ("instance", "count", "reason"),
    [
        (INSTANCE, 0, Reason.UNCLASSIFIED),
        (INSTANCE, abi.MOST_CLASSES + 1, Reason.OVERFLOW),
        (INSTANCE + 1, 2, Reason.MISSING),
    ],
)
def test_class_sets(delivery: Delivery, instance: int, count: int, reason: Reason) -> None:
    """One without classes, with more than there can be, of another instance."""
    assert refusal(reason) == delivery.answer(_with_set(delivery.question(), instance, count))


def test_as_many_groups_as_are_looked_at(delivery: Delivery) -> None:
    """One more, and it can't be told what the subject is."""
    groups = tuple(range(100, 100 + abi.MOST_GROUPS))
    asked = bytearray(delivery.question(gids=groups))

    assert delivery.answer(bytes(asked)).allowed
    struct.pack_into("=I", asked, GROUPS_OFFSET, abi.MOST_GROUPS + 1)
    assert refusal(Reason.OVERFLOW) == delivery.answer(bytes(asked))


@pytest.mark.parametrize("relation", ["userns", "opener_userns"])
def test_relations_that_are_none(delivery: Delivery, relation: str) -> None:
    """A number that stands for nothing."""
    assert refusal(Reason.MISSING) == delivery.answer(delivery.question(**{relation: 9}))


def test_the_last_group_counts() -> None:
    """All that fit are looked at."""
    rule = replace(ALSO, when=Conditions(subjects=(SubjectConditions(gid=Ids(frozenset({3}))),)))
    found = Delivery(rule)
    others = tuple(range(100, 100 + abi.MOST_GROUPS - 1))

    assert found.answer(found.question(gids=(*others, 3))).allowed
    assert Reason.BY_NO_RULE == found.answer(found.question(gids=(*others, 4))).reason


def test_policies_that_only_monitor() -> None:
    """They refuse nothing; but without them nobody knows that they only monitor."""
    found = Delivery(replace(ALSO, effect=Effect.FORBID), mode=Mode.MONITOR)

    assert (True, False, Reason.BY_FORBID) == found.answer()[:3]
    found.program.remove(Key(Table.EFFECT, INSTANCE))
    assert refusal(Reason.MISSING) == found.answer()


def test_the_classes_after_the_one_that_allows_are_not_asked_for(delivery: Delivery) -> None:
    """So there is nothing that they could lack."""
    delivery.program.remove(Key(Table.TERMS, 2))

    assert 2 == len(alternatives(FILE))
    assert delivery.answer().allowed
