"""Any policy of the model, written as YAML, is read as the same policy again; and fits the JSON Schema."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fdstorefs.policy.diagnostic import render_all
from fdstorefs.policy.load import load
from fdstorefs.policy.model import (
    Conditions,
    Ids,
    InstanceMatch,
    Policy,
    PolicyLimits,
    Rule,
    SubjectConditions,
)
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.schema import schema
from fdstorefs.policy.span import Source
from fdstorefs.policy.vocabulary import (
    ACCESS,
    CAPABILITIES,
    KINDS,
    ON_ENTRIES,
    USERNS_WORDS,
    Effect,
    Mode,
    OpenerUnknown,
)
from tests.unit.policy.written import written

NAMES = FixedNames(host_uids={}, host_gids={})
VALIDATOR = Draft202012Validator(schema())

names = st.text("abzAZ019._-", min_size=1, max_size=64).map(lambda text: f"n{text}"[:64])
texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
prose = st.text(st.characters(categories=("L", "P", "Zs", "N")) | st.sampled_from("\n\t"), max_size=30)
numbers = st.integers(0, 2**32 - 2)
globs = st.sampled_from(["**", "a/*", "listen/**/x", "[a-z]?", "a b", "日本/*", "no", "10"])
paths = st.sampled_from(["/", "/system.slice", "/a/*", "/x y/**"])
userns = st.sampled_from(list(USERNS_WORDS.values()))


def masks() -> st.SearchStrategy[int]:
    """At least one capability."""
    return st.integers(1, 2 ** len(CAPABILITIES) - 1)


def some(words: "tuple[str, ...] | st.SearchStrategy[str]") -> st.SearchStrategy[frozenset[str]]:
    """At least one of some words."""
    return st.frozensets(
        st.sampled_from(words) if isinstance(words, tuple) else words, min_size=1, max_size=4
    )


def ids(*, same: bool) -> st.SearchStrategy[Ids]:
    """At least one id."""
    known = st.frozensets(numbers, max_size=3)
    found = st.builds(Ids, known, st.booleans() if same else st.just(False), st.booleans())
    return found.filter(lambda each: each.known or each.same or each.undetermined)


def given_or_not(value: "st.SearchStrategy[object]") -> st.SearchStrategy[object]:
    """A condition that may not be there."""
    return st.none() | value


subjects = st.builds(
    SubjectConditions,
    uid=given_or_not(ids(same=False)),
    gid=given_or_not(ids(same=False)),
    cgroups=given_or_not(st.lists(paths, min_size=1, max_size=3, unique=True).map(tuple)),
    capabilities=given_or_not(masks()),
    userns=given_or_not(userns),
).filter(lambda subject: subject != SubjectConditions())

SETS = st.fixed_dictionaries({"web": subjects, "ops": subjects})


def conditions(sets: dict[str, SubjectConditions], *, of_rule: bool) -> st.SearchStrategy[Conditions]:
    """Conditions of a rule or an `unless`, which has no entries and one set at most."""
    in_sets = [
        SubjectConditions(each.uid, each.gid, each.cgroups, each.capabilities, each.userns, name)
        for name, each in sets.items()
    ]
    several = st.lists(st.sampled_from(in_sets), min_size=1, max_size=2 if of_rule else 1, unique_by=id).map(
        tuple
    )
    return st.builds(
        Conditions,
        entries=given_or_not(st.lists(globs, min_size=1, max_size=3, unique=True).map(tuple))
        if of_rule
        else st.none(),
        kinds=given_or_not(some(KINDS)),
        filesystems=given_or_not(some(("proc", "cgroup2", "9p", "fuse.sshfs"))),
        access=given_or_not(some(ACCESS)),
        guarded=given_or_not(st.booleans()),
        labels=given_or_not(some(texts)),
        stasher_uid=given_or_not(ids(same=True)),
        stasher_userns=given_or_not(userns),
        opener_uid=given_or_not(ids(same=True)),
        opener_capabilities=given_or_not(masks()),
        opener_no_more=st.booleans(),
        opener_userns=given_or_not(userns),
        subjects=st.just(()) | subjects.map(lambda subject: (subject,)) | several,
    )


def rules(sets: dict[str, SubjectConditions]) -> st.SearchStrategy[Rule]:
    """Rules that are right."""
    return st.builds(
        Rule,
        names,
        st.sampled_from(Effect),
        st.frozensets(st.sampled_from(sorted(ON_ENTRIES)), min_size=1),
        conditions(sets, of_rule=True),
        given_or_not(conditions(sets, of_rule=False).filter(lambda each: each != Conditions())),
        st.sampled_from([None, True]),
        prose,
    )


instances = (
    st.builds(InstanceMatch, mount=paths)
    | st.builds(InstanceMatch, owner=ids(same=False))
    | st.builds(InstanceMatch, cgroup=st.sampled_from(["/", "/a/b", "/x y"]))
)

policies = SETS.flatmap(
    lambda sets: st.builds(
        Policy,
        names,
        st.lists(rules(sets), max_size=4, unique_by=lambda rule: rule.id).map(tuple),
        st.sampled_from(Mode),
        given_or_not(st.lists(instances, min_size=1, max_size=3, unique=True).map(tuple)),
        st.builds(PolicyLimits, st.none() | numbers, st.none() | numbers),
        st.sampled_from(OpenerUnknown),
        prose,
    )
)


# A policy is large, and making one up is slow on a machine that has other things to do.
patient = settings(max_examples=60)


@patient
@given(policies)
def test_same_policy(policy: Policy) -> None:
    """Reading gives back what was written."""
    loaded = load([Source.of("p.yaml", written(policy))], NAMES)

    assert "" == render_all(loaded.diagnostics)
    assert (policy,) == loaded.policies


@patient
@given(policies)
def test_fits_the_schema(policy: Policy) -> None:
    """What the parser takes the schema takes."""
    assert [] == [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(written(policy)))]
