"""Queries: each filter says one thing, and all must hold."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit import query
from fdstorefs.audit.reader import Record
from tests.unit.audit_reading.records import allowed, event, verdict

EVENT = event(9, "attach", hooks=["file_receive"])


def found(*tests: query.Test, among: list[Record]) -> list[int]:
    """The numbers of the records that pass."""
    return [record["seq"] for record in query.matching(among, tests)]


def test_without_a_filter_everything_is_found() -> None:
    """Events too."""
    assert [1, 9] == found(among=[verdict(1), EVENT])


def test_a_time_is_from_and_not_to() -> None:
    """So that two spans that meet have nothing in common."""
    noon = 1_795_241_401_123_456_789  # 2026-11-21 06:10:01.123456789 UTC
    records = [verdict(0), verdict(1), verdict(2)]

    assert [1, 2] == found(query.since(noon), among=records)
    assert [0] == found(query.until(noon), among=records)


@given(st.lists(st.integers(0, 4_000_000_000_000_000_000), min_size=2))
def test_stamps_are_in_the_order_of_time(moments: list[int]) -> None:
    """So they can be compared as they are."""
    stamps = [query.stamp(moment) for moment in sorted(moments)]

    assert all(before <= after for before, after in itertools.pairwise(stamps))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("verdict", "allow", [1]),
        ("action", "take", [2]),
        ("reason", "forbidden", [2]),
        ("instance", "/run/fdstore", [1, 2, 9]),
        ("instance", "/elsewhere", []),
    ],
)
def test_fields(field: str, value: str, expected: list[int]) -> None:
    """An event lacks what only verdicts have."""
    records = [allowed(1), verdict(2, action="take"), EVENT]

    assert expected == found(query.one_of(field, [value]), among=records)


def test_either_of_two_values() -> None:
    """Values of one filter are alternatives."""
    records = [verdict(1, action="take"), verdict(2, action="list"), verdict(3, action="seal")]

    assert [1, 3] == found(query.one_of("action", ["take", "seal"]), among=records)


def test_all_of_two_filters() -> None:
    """Filters are conditions."""
    records = [verdict(1, action="take"), allowed(2, action="take"), allowed(3)]
    tests = [query.one_of("action", ["take"]), query.one_of("verdict", ["allow"])]

    assert [2] == found(*tests, among=records)


def test_a_rule_is_found_among_those_that_decided() -> None:
    """Whichever place it has."""
    records = [verdict(1, rules=["a", "b"]), verdict(2, rules=[]), EVENT]

    assert [1] == found(query.by_rule(["b"]), among=records)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("uid", 33, [1]),
        ("uid", 77, []),
        ("pid", 77, [1, 2]),
        ("comm", "nginx", [1, 2]),
        ("exe", "/usr/sbin/nginx", [1, 2]),
        ("exe", "/usr/sbin", []),
    ],
)
def test_subjects(key: str, value: str | int, expected: list[int]) -> None:
    """By what is asked for, and nothing else."""
    records = [verdict(1), verdict(2, subject={"uid": 34}), EVENT]

    assert expected == found(query.by_subject(key, [value]), among=records)


@pytest.mark.parametrize(
    ("root", "cgroup", "is_found"),
    [
        ("/system.slice", "/system.slice/a.service", True),
        ("/system.slice/", "/system.slice", True),
        ("/system", "/system.slice", False),
        ("/", "/system.slice", True),
        ("/", "/", True),
        ("/a\\b", "/a\\\\b/c", True),
    ],
)
def test_a_cgroup_stands_for_all_below(root: str, cgroup: str, is_found: bool) -> None:
    """By components, and as the record has it escaped."""
    records = [verdict(1, subject={"cgroup": cgroup})]

    assert is_found == bool(found(query.by_subject("cgroup", [root]), among=records))


def test_a_subject_that_was_gone_has_no_cgroup() -> None:
    """It is not in any."""
    gone = verdict(1)
    del gone["subject"]["cgroup"]

    assert [] == found(query.by_subject("cgroup", ["/"]), among=[gone, EVENT])


@pytest.mark.parametrize(
    ("glob", "changes", "is_found"),
    [
        ("listen/*", {}, True),
        ("listen", {}, False),
        ("other", {"also": [{"name": "other"}]}, True),
        ("a\\b", {"entry": {"name": "a\\\\b"}}, True),
        ("caf\udce9", {"entry": {"name": "caf\\xe9"}}, True),
    ],
)
def test_entries(glob: str, changes: dict[str, Any], is_found: bool) -> None:
    """By any name of the open file, as it is in the instance."""
    assert is_found == bool(found(query.by_entry([glob]), among=[verdict(1, **changes), EVENT]))
