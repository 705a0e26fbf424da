"""A verdict on record is decided again with other policies, or counted as one that cannot be."""

from typing import Any

import pytest

from fdstorefs.audit.reader import Record
from fdstorefs.audit.replay import Comparison, Obstacle, Replayed, compare, replay_one, request_of
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.load import load
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.request import OPEN, UNKNOWN, Person, relation
from fdstorefs.policy.span import Source
from fdstorefs.policy.tables import Tables
from tests.unit.audit_reading.records import allowed, event, verdict

IN_INSTANCE: dict[str, Any] = {"instance_userns": [1]}


def policy(*rules: str, top: str = "") -> Tables:
    """The tables of a policy with these rules."""
    text = "\n".join(["version: 1", "name: test", top, "rules:", *(f"  - {rule}" for rule in rules)])
    loaded = load([Source.of("test.yaml", text)], FixedNames())
    assert () == loaded.diagnostics
    return compile_policies(loaded.policies)


def allow(**conditions: str) -> str:
    """A rule that allows everything under some conditions."""
    said = "".join(f", {key}: {value}" for key, value in conditions.items())
    return f"{{id: let, effect: allow, actions: [all]{said}}}"


def forbid(**conditions: str) -> str:
    """A rule that forbids everything under some conditions."""
    return allow(**conditions).replace("id: let, effect: allow", "id: ban, effect: forbid")


def again(record: Record, *rules: str) -> bool | Obstacle:
    """Whether it is allowed under these rules, or why that cannot be said."""
    outcome = replay_one(record, policy(*rules))
    return outcome.allowed if isinstance(outcome, Replayed) else outcome


@pytest.mark.parametrize(
    ("record", "obstacle"),
    [
        (event(1, "attach", hooks=[]), Obstacle.EVENT),
        (verdict(1, reason="mode-bits", rules=[]), Obstacle.NOT_POLICY),
        (verdict(1, reason="limit", rules=[]), Obstacle.NOT_POLICY),
        (verdict(1, reason="of-a-later-version"), Obstacle.NOT_POLICY),
        (verdict(1, shortened=True), Obstacle.SHORTENED),
        (verdict(1, action="teleport"), Obstacle.NEWER),
    ],
)
def test_what_no_other_policy_would_have_decided(record: Record, obstacle: Obstacle) -> None:
    """Is not decided again."""
    assert obstacle == again(record, allow())


@pytest.mark.parametrize(
    "rule",
    [
        {"entries": "['listen/*']"},
        {"kinds": "[socket]"},
        {"filesystems": "[sockfs]"},
        {"access": "[rw]"},
        {"guarded": "true"},
        {"labels": "['größe']"},
        {"stasher": "{uid: 0}"},
        {"stasher": "{userns: same}"},
        {"subject": "{uid: 33}"},
        {"subject": "{gid: 4}"},
        {"subject": "{cgroup: /system.slice}"},
        {"subject": "{capabilities: CAP_NET_BIND_SERVICE}"},
        {"subject": "{userns: below}"},
    ],
)
def test_everything_on_record_is_put_before_the_policy(rule: dict[str, str]) -> None:
    """An allow rule that asks for it matches, a forbid rule too."""
    record = verdict(1, entry={"label": "größe"}, **IN_INSTANCE)

    assert (True, False) == (again(record, allow(**rule)), again(record, allow(), forbid(**rule)))


@pytest.mark.parametrize(
    ("lacking", "rule"),
    [
        ("filesystem", {"filesystems": "[sockfs]"}),
        ("access", {"access": "[rw]"}),
        ("guarded", {"guarded": "true"}),
        ("guarded", {"guarded": "false"}),
        ("stasher", {"stasher": "{uid: 0}"}),
        ("stasher", {"stasher": "{userns: same}"}),
    ],
)
def test_what_hangs_on_a_value_of_the_entry_that_is_not_on_record(lacking: str, rule: dict[str, str]) -> None:
    """Is not decided again; what does not hang on it is."""
    record = verdict(1, **IN_INSTANCE)
    del record["entry"][lacking]

    assert Obstacle.NOT_ON_RECORD == again(record, allow(**rule))
    assert Obstacle.NOT_ON_RECORD == again(record, allow(), forbid(**rule))
    assert again(record, allow(kinds="[socket]")) is True


@pytest.mark.parametrize(
    ("lacking", "rule"),
    [
        ("groups", {"subject": "{gid: 4}"}),
        ("cgroup", {"subject": "{cgroup: /system.slice}"}),
        ("capabilities", {"subject": "{capabilities: CAP_NET_BIND_SERVICE}"}),
        ("userns", {"subject": "{userns: below}"}),
    ],
)
def test_what_hangs_on_a_value_of_the_subject_that_is_not_on_record(
    lacking: str, rule: dict[str, str]
) -> None:
    """The same, for a process that was gone."""
    record = verdict(1, **IN_INSTANCE)
    del record["subject"][lacking]

    assert Obstacle.NOT_ON_RECORD == again(record, allow(**rule))
    assert again(record, allow(subject="{uid: 33}")) is True


def test_without_the_instances_user_namespace_relations_to_it_are_not_told() -> None:
    """The chain that a subject's namespaces make may end above the instance."""
    assert Obstacle.NOT_ON_RECORD == again(verdict(1), allow(subject="{userns: below}"))


def test_an_opener_that_only_the_kernel_knows_stays_unknown() -> None:
    """The server that decides by the new policy won't know it either."""
    assert again(verdict(1), allow(), forbid(opener="{uid: 0}")) is False


def test_an_opener_on_record() -> None:
    """Is put before the policy, unless another stood in its place."""
    known = verdict(1, opener={"uid": 0, "assumed": False})
    assumed = verdict(1, opener={"uid": 0, "assumed": True})

    assert (True, False) == tuple(again(each, allow(opener="{uid: 0}")) for each in (known, assumed))


@pytest.mark.parametrize("kind", ["empty", "box"])
def test_what_holds_nothing_has_no_opener(kind: str) -> None:
    """So nothing can be lent with it."""
    record = verdict(1, action="stash", entry={"name": "x", "kind": kind})
    del record["entry"]["filesystem"], record["entry"]["access"], record["entry"]["guarded"]
    request, _ = request_of(record)

    assert Person(OPEN, OPEN, OPEN) == request.entry.opener
    assert (OPEN, OPEN) == (request.entry.filesystem, request.entry.access)
    assert OPEN is request.entry.guarded


def test_names_are_what_they_were() -> None:
    """Without the escapes of the log; the root has an empty path."""
    record = verdict(1, entry={"name": "a\\\\b"}, also=[{"name": "caf\\xe9"}, {"name": "/"}])
    request, _ = request_of(record)

    assert ("a\\b", ["caf\udce9", ""]) == (request.entry.path, [each.path for each in request.also])


def test_relations_are_those_of_the_record() -> None:
    """Between subject, stasher and instance."""
    request, subject = request_of(verdict(1, **IN_INSTANCE))

    assert subject.userns is not UNKNOWN
    assert "below" == relation(subject.userns, request.instance, request.instance)
    assert "same" == relation(request.entry.stasher.userns, subject.userns, request.instance)


def test_a_comparison() -> None:
    """How many came out the same, which did not, and what could not be decided."""
    records = [allowed(1), verdict(2), verdict(3, action="take"), event(4, "attach", hooks=[])]
    comparison = compare(records, policy("{id: let, effect: allow, actions: [retrieve]}"))

    assert 2 == comparison.same
    assert [(2, True, ("let",))] == [(e.record["seq"], e.allowed, e.rules) for e in comparison.different]
    assert {Obstacle.EVENT: 1} == comparison.obstacles


def test_what_is_compared_is_in_force() -> None:
    """A policy that only monitors would have refused nothing."""
    comparison = compare([allowed(1)], policy(forbid(), top="mode: monitor"))

    assert Comparison(same=1) == comparison
