"""What a record says, and that it says it in the published form."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit.decision import Decision, EntryMark, Opener, PolicyMark, Reason
from fdstorefs.audit.format import MOST_BODIES, MOST_ENTRIES, EventValue, Formatter
from fdstorefs.audit.record import ENVELOPE, EVENT_FIELDS, Event, fields_of
from fdstorefs.core.node import Stasher
from fdstorefs.policy.vocabulary import ACCESS, ACTIONS, KINDS
from tests.unit.audit.decisions import (
    DETAILS,
    ENTRY,
    INSTANCE,
    KEY,
    POLICY,
    RUN,
    decision,
    denial,
    subject,
)
from tests.unit.audit.schema_check import faults


def record(one: Decision, lost_before: int = 0) -> dict[str, Any]:
    """The record of a decision, checked against the schema."""
    found: dict[str, Any] = json.loads(
        Formatter(INSTANCE, RUN, (4_026_531_837,), KEY).verdict(one, lost_before)
    )
    assert [] == faults(found)
    assert set(found) <= {field.name for field in fields_of("verdict")}
    return found


def test_an_allowed_retrieve() -> None:
    """Every field, with its value."""
    one = decision(17, also=(EntryMark("other"),))
    one.seq = 5

    assert {
        "v": 1,
        "type": "verdict",
        "ts": "2026-11-21T06:07:14.123456806Z",
        "boottime": 1017,
        "seq": 5,
        "lost_before": 2,
        "instance": INSTANCE,
        "run": RUN,
        "instance_userns": [4_026_531_837],
        "id": Formatter(INSTANCE, RUN, key=KEY).decision_id(17),
        "action": "retrieve",
        "verdict": "allow",
        "decided": "allow",
        "reason": "rule",
        "source": "daemon",
        "via": "socket",
        "rules": ["web-takes-listeners"],
        "policy": {"names": ["web-tier"], "hash": "ab" * 32, "generation": 3, "mode": "enforce"},
        "subject": {
            "pid": 4242,
            "uid": 33,
            "gid": 33,
            "details": "read",
            "tid": 4243,
            "start_time": 123_456,
            "comm": "nginx",
            "exe": "/usr/sbin/nginx",
            "uids": [33, 33, 33, 33],
            "gids": [33, 33, 33, 33],
            "groups": [33, 4],
            "capabilities": "0000000000000400",
            "userns": [4_026_531_837],
            "mntns": 4_026_531_841,
            "cgroup": "/system.slice/nginx.service",
            "cgroup_id": 8812,
            "read_at": 99,
        },
        "entry": {
            "name": "listen/http",
            "id": 7,
            "kind": "socket",
            "device": 9,
            "inode": 4411,
            "access": "rw",
            "filesystem": "sockfs",
            "guarded": True,
            "label": "blue",
            "stasher": {"pid": 1, "uid": 0, "gid": 0, "command": "put"},
        },
        "also": [{"name": "other"}],
    } == record(one, 2)


def test_a_denial_says_what_failed() -> None:
    """Conditions that failed, those that are unknown, and the opener, asked for only now."""
    one = denial(
        failed=lambda: ("web: kinds", "web: subject.uid"),
        unknown=("nobody-borrows-power: unless.opener",),
        opener=Opener(0, None, 0x1FF, None, assumed=True),
        decided=True,
        hidden=3,
    )

    found = record(one)

    assert ("deny", "allow", "no-rule", []) == (
        found["verdict"],
        found["decided"],
        found["reason"],
        found["rules"],
    )
    assert ["web: kinds", "web: subject.uid"] == found["failed"]
    assert ["nobody-borrows-power: unless.opener"] == found["unknown"]
    assert {"uid": 0, "capabilities": "00000000000001ff", "assumed": True} == found["opener"]
    assert 3 == found["hidden"]


def test_at_most_eight_failed_conditions() -> None:
    """A policy of a thousand rules does not make a record of a thousand lines."""
    assert 8 == len(record(denial(failed=tuple(map(str, range(100)))))["failed"])


def test_a_process_that_is_gone() -> None:
    """What its message carried is there, and that there is no more."""
    gone = decision(details=None)

    assert {"pid": 4242, "uid": 33, "gid": 33, "details": "gone"} == record(gone)["subject"]


def test_without_a_policy() -> None:
    """There is none in the record either."""
    assert "policy" not in record(decision(policy=None, reason=Reason.DEFAULT, rules=()))


def test_what_is_kept_is_not_mixed_up() -> None:
    """The same formatter, for decisions that differ in one thing each, says what a fresh one says."""
    others = [
        decision(),
        decision(entry=ENTRY._replace(label=None)),
        decision(entry=ENTRY._replace(guarded=False)),
        decision(entry=ENTRY._replace(guarded=None)),
        decision(entry=ENTRY._replace(stasher=Stasher(2, 0, 0, "put"))),
        decision(subject=subject(uid=34)),
        decision(subject=subject(pid=9)),
        decision(details=None),
        decision(details=replace(DETAILS, comm="other")),
        decision(policy=None),
        decision(policy=PolicyMark(("web-tier",), "ab" * 32, 4)),
        decision(rules=("other",)),
        decision(via="mount"),
        decision(source="kernel"),
        decision(action="take"),
        decision(reason=Reason.DEFAULT),
        denial(decided=True),
        denial(),
    ]
    one = Formatter(INSTANCE, RUN, key=KEY)

    assert [Formatter(INSTANCE, RUN, key=KEY).verdict(each, 0) for each in others * 2] == [
        one.verdict(each, 0) for each in others * 2
    ]


def test_what_is_kept_is_bounded() -> None:
    """Names without end, or long ones, do not fill the memory."""
    one = Formatter(INSTANCE, RUN, key=KEY)
    for number in range(2 * MOST_ENTRIES):
        one.verdict(decision(entry=EntryMark(f"{number}")), 0)
    one.verdict(decision(entry=EntryMark("long" * 1000)), 0)

    assert len(one._entries) <= MOST_ENTRIES
    assert len(one._bodies) <= MOST_BODIES
    assert max(map(len, one._entries.values())) < 4000


SAMPLES: dict[Event, dict[str, EventValue]] = {
    Event.START: {
        "version": "1",
        "pid": 1,
        "uid": 0,
        "enforcement": "daemon",
        "enforcement_reason": "no enforcer listens at /\n",
        "targets": ("stderr",),
        "fsync": "never",
    },
    Event.RESTART: {
        "version": "1",
        "pid": 2,
        "uid": 0,
        "away": 250_000_000,
        "entries": 5000,
        "descriptors": 4990,
        "first_seq": 17,
        "last_seq": 20,
        "enforcement": "kernel",
        "enforcement_reason": "the enforcer listens",
        "cause": "killed by signal 9",
        "targets": ("stderr",),
        "fsync": "never",
    },
    Event.UPGRADE: {
        "version": "2",
        "former": "1",
        "pid": 3,
        "uid": 0,
        "away": 40_000_000,
        "entries": 5000,
        "descriptors": 4990,
        "first_seq": 21,
        "last_seq": 22,
        "targets": ("stderr",),
        "fsync": "never",
    },
    Event.STOP: {"cause": "SIGTERM", "written": 1, "lost": 0},
    Event.POLICY_LOAD: {"policy": POLICY, "files": ("/etc/\n.yaml",), "count": 3, "by": ENTRY.stasher},
    Event.POLICY_REJECT: {"errors": ("x.yaml:1:2: no \udcff",), "files": (), "policy": POLICY, "by": None},
    Event.MODE_CHANGE: {"name": "web-tier", "former": "enforce", "mode": "monitor", "by": ENTRY.stasher},
    Event.ATTACH: {"hooks": ("file_receive",), "generation": 3, "cause": "start"},
    Event.DETACH: {"hooks": ("file_receive",), "cause": "gone"},
    Event.AUDIT_LOST: {"target": "file:/a", "lost": 2, "first_seq": 4, "last_seq": 5, "cause": "no space"},
    Event.EXPIRED: {"entry": EntryMark("a", 7, "pipe", stasher=Stasher(1, 2, 3, "put"))},
    Event.EVICTED: {"entry": EntryMark("b"), "cause": "hang-up"},
}


@pytest.mark.parametrize("kind", Event)
def test_every_event_fits_the_schema(kind: Event) -> None:
    """With all its fields, and with those alone that are always there."""
    always = {field.name for field in EVENT_FIELDS[kind] if field.always}
    for fields in (SAMPLES[kind], {name: SAMPLES[kind][name] for name in always}):
        line = Formatter(INSTANCE, RUN).event(kind, (1, 2), 3, 0, fields)

        found = json.loads(line)
        assert [] == faults(found)
        given_ = {name for name, value in fields.items() if value is not None}
        assert given_ == found.keys() - {field.name for field in ENVELOPE}


optional_text = st.none() | st.text()
marks = st.builds(
    EntryMark,
    st.text(),
    st.none() | st.integers(0),
    st.none() | st.sampled_from(KINDS),
    st.none() | st.integers(0),
    st.none() | st.integers(0),
    st.none() | st.sampled_from(ACCESS),
    optional_text,
    optional_text,
    st.none() | st.builds(Stasher, st.integers(0), st.integers(0), st.integers(0), optional_text),
    st.none() | st.booleans(),
)


@given(
    action=st.sampled_from(list(ACTIONS)),
    verdict=st.booleans(),
    decided=st.booleans(),
    reason=st.sampled_from(Reason),
    rules=st.lists(st.text()).map(tuple),
    entry=marks,
    also=st.lists(marks, max_size=2).map(tuple),
    failed=st.lists(st.text(), max_size=20).map(tuple),
    via=st.sampled_from(["socket", "mount", "kernel"]),
    time=st.integers(0, 2**62),
)
def test_every_verdict_fits_the_schema(**fields: Any) -> None:
    """Whatever the decision is."""
    record(decision(**fields))


def test_the_check_can_fail() -> None:
    """A record with a word that is none, without a field, or of no type is not what the schema says."""
    good = record(decision())

    assert faults(good | {"verdict": "perhaps"})
    assert faults({name: value for name, value in good.items() if name != "rules"})
    assert faults(good | {"type": "party"})
    assert faults(good | {"seq": "1"})
    assert faults(good | {"subject": good["subject"] | {"uids": [1]}})


def test_ids_of_decisions_tell_nothing_of_each_other() -> None:
    """Who is told of two denials does not learn how many others there were in between."""
    one, another = Formatter(INSTANCE, RUN), Formatter(INSTANCE, RUN)
    ids = [one.decision_id(number) for number in range(1000)]

    assert 1000 == len(set(ids))
    assert sorted(ids) != ids
    assert one.decision_id(1) == ids[1] != another.decision_id(1)
