"""Tables written as JSON and read again decide alike, and their hash stands for what they decide."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.span import Source, Span
from fdstorefs.policy.tables import Tables
from fdstorefs.policy.vocabulary import ON_ENTRIES, Action, Effect, Mode, OpenerUnknown, Relation
from tests.unit.policy.agreement import by_tables
from tests.unit.policy.searching import some

ROOT = Path(__file__).parents[3]
SIZES = [0, 1, 5, 20, 63, 64, 65, 130]

SUBJECT = SubjectConditions(
    uid=Ids(frozenset({1})),
    gid=Ids(frozenset({1})),
    cgroups=("/a",),
    capabilities=1,
    userns=frozenset({Relation.SAME}),
)
EVERYTHING = Conditions(
    entries=("a",),
    kinds=frozenset({"socket"}),
    filesystems=frozenset({"proc"}),
    access=frozenset({"r"}),
    guarded=True,
    labels=frozenset({"red"}),
    stasher_uid=Ids(frozenset({1})),
    stasher_userns=frozenset({Relation.SAME}),
    opener_uid=Ids(frozenset({1})),
    opener_capabilities=1,
    opener_no_more=True,
    opener_userns=frozenset({Relation.SAME}),
    subjects=(SUBJECT,),
)
RULE = Rule("r", Effect.ALLOW, frozenset({Action.TAKE}), EVERYTHING, replace(EVERYTHING, entries=None))
POLICY = Policy("p", (RULE,))


@pytest.mark.parametrize("rules", SIZES)
def test_read_back_from_json_they_decide_alike(rules: int) -> None:
    """JSON as text: what is read knows nothing of what was written but the text."""
    policies, requests = some(rules, rules, 100)
    tables = compile_policies(policies)

    read = Tables.from_json(json.loads(json.dumps(tables.to_json())))

    assert [by_tables(tables, each) for each in requests] == [by_tables(read, each) for each in requests]
    assert (tables.hash, tables.generation) == (read.hash, read.generation)


def test_guarded_is_a_boolean_in_json_too() -> None:
    """As policies write it; a value that no rule asks for is `other`."""
    rules = tuple(
        Rule(str(wanted), Effect.ALLOW, ON_ENTRIES, Conditions(guarded=wanted)) for wanted in (True, False)
    )
    written = compile_policies([Policy("p", rules)]).to_json()

    assert {"asks": "3", "known": {"false": "2", "true": "1"}, "other": "0"} == written["main"]["guarded"]
    assert {False: 2, True: 1} == Tables.from_json(written).main.guarded.known


def test_tables_of_another_abi_are_refused() -> None:
    """Those of before `guarded`, too."""
    written = compile_policies([POLICY]).to_json()

    with pytest.raises(ValueError, match="ABI 1"):
        Tables.from_json(written | {"abi": 1})


def test_they_say_which_verdicts_are_on_record() -> None:
    """By rule: those that always are, and those that are only if they deny."""
    rules = tuple(replace(RULE, id=str(log), log=log) for log in (True, False, None))

    tables = compile_policies([replace(POLICY, rules=rules)])

    assert [{"True"}, {"False"}] == [set(tables.log_always), set(tables.log_denials)]


def test_the_hash_is_the_same_in_every_process() -> None:
    """However the interpreter seeds the hashes that order its sets."""
    found = {_hash_in_another_process(seed) for seed in ("0", "1", "2")}

    assert {compile_policies(some(1, 65, 0)[0]).hash} == found


def _hash_in_another_process(seed: str) -> str:
    script = (
        "from fdstorefs.policy.compile import compile_policies\n"
        "from tests.unit.policy.searching import some\n"
        "print(compile_policies(some(1, 65, 0)[0]).hash)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_the_hash_does_not_depend_on_the_generation() -> None:
    """The same policies loaded again have the same hash."""
    assert compile_policies([POLICY], generation=1).hash == compile_policies([POLICY], generation=2).hash


def test_the_generation_is_kept() -> None:
    """As it was given."""
    assert 7 == compile_policies([POLICY], generation=7).generation


def test_the_hash_does_not_depend_on_descriptions_or_spans() -> None:
    """What only people read may change."""
    span = {"id": Span(Source.of("p.yaml", "id: r"), 0, 4, 0, 5)}
    rule = replace(RULE, description="why", spans=span)
    described = replace(POLICY, rules=(rule,), description="why", spans=span)

    assert compile_policies([POLICY]).hash == compile_policies([described]).hash


def test_the_hash_depends_on_every_condition() -> None:
    """Any condition that is another, or left out, in `when`, in `unless` and in sets, gives another hash."""
    others = [compile_policies([replace(POLICY, rules=(rule,))]).hash for rule in _other_rules()]

    assert len(others) + 1 == len({compile_policies([POLICY]).hash, *others})


@pytest.mark.parametrize("effect", Effect)
def test_the_hash_depends_on_ids_that_cannot_be_told(effect: Effect) -> None:
    """Where they make a difference: a forbid rule that asks for them, an allow rule that excepts them."""
    known, partly = (Conditions(opener_uid=Ids(frozenset({1}), undetermined=each)) for each in (False, True))
    one, other = (
        Rule("r", effect, frozenset({Action.TAKE}), asked)
        if effect is Effect.FORBID
        else Rule("r", effect, frozenset({Action.TAKE}), unless=asked)
        for asked in (known, partly)
    )

    assert compile_policies([Policy("p", (one,))]).hash != compile_policies([Policy("p", (other,))]).hash


@pytest.mark.parametrize(
    "other",
    [
        replace(POLICY, mode=Mode.MONITOR),
        replace(POLICY, opener_unknown=OpenerUnknown.ASSUME_STASHER),
        replace(POLICY, rules=()),
        replace(POLICY, rules=(replace(RULE, effect=Effect.FORBID),)),
        replace(POLICY, rules=(replace(RULE, actions=frozenset({Action.RETRIEVE})),)),
        replace(POLICY, rules=(replace(RULE, id="s"),)),
        replace(POLICY, rules=(replace(RULE, log=True),)),
        replace(POLICY, rules=(replace(RULE, log=False),)),
        replace(POLICY, rules=(replace(RULE, unless=None),)),
        replace(POLICY, rules=(RULE, replace(RULE, id="s"))),
    ],
)
def test_the_hash_depends_on_the_rest_of_a_policy(other: Policy) -> None:
    """Mode, stand-in for the opener, effect, actions, ids, what is on record, and which rules there are."""
    assert compile_policies([POLICY]).hash != compile_policies([other]).hash


def _other_rules() -> Iterator[Rule]:
    for place in ("when", "unless"):
        conditions = getattr(RULE, place)
        for other in _others(conditions):
            yield replace(RULE, **{place: other})
        for subject in _others(SUBJECT):
            yield replace(RULE, **{place: replace(conditions, subjects=(subject,))})


def _others(thing: Any) -> Iterator[Any]:
    """The same with one condition left out, and with one that asks for something else."""
    for field in fields(thing):
        now = getattr(thing, field.name)
        if field.name == "set_name" or now is None:
            continue
        yield replace(thing, **{field.name: field.default})
        if field.name not in {"opener_no_more", "subjects"}:
            yield replace(thing, **{field.name: OTHER[field.name]})


OTHER = {
    "entries": ("b",),
    "kinds": frozenset({"pipe"}),
    "filesystems": frozenset({"sysfs"}),
    "access": frozenset({"w"}),
    "guarded": False,
    "labels": frozenset({"blue"}),
    "stasher_uid": Ids(frozenset({1}), same=True),
    "stasher_userns": frozenset({Relation.SAME, Relation.BELOW}),
    "opener_uid": Ids(frozenset({2})),
    "opener_capabilities": 3,
    "opener_userns": frozenset({Relation.BELOW}),
    "uid": Ids(),
    "gid": Ids(frozenset({1, 2})),
    "cgroups": ("/a/**",),
    "capabilities": 1 << 40,
    "userns": frozenset({Relation.BELOW}),
}
