"""Counting: what was denied, to whom, by which rule."""

from fdstorefs.audit.stats import by_name, count
from tests.unit.audit_reading.records import allowed, event, verdict

RECORDS = [
    event(1, "policy-load"),
    allowed(2),
    verdict(3),
    verdict(4, subject={"exe": "/bin/c\\xe9"}, rules=["a", "b"], entry={"name": "x\\\\y"}, lost_before=2),
    allowed(7, decided="deny", action="take"),
]


def test_counts() -> None:
    """Every number, by what it counts."""
    expected = {
        "records": 5,
        "lost": 2,
        "first": "2026-11-21T06:10:01.123456789Z",
        "last": "2026-11-21T06:10:07.123456789Z",
        "verdicts": {"allow": 2, "deny": 2},
        "overruled": 1,
        "events": {"policy-load": 1},
        "reasons": {"rule": 2, "forbidden": 2},
        "actions": {"retrieve": {"allow": 1, "deny": 2}, "take": {"allow": 1, "deny": 0}},
        "rules": {
            "a": {"allow": 0, "deny": 1},
            "b": {"allow": 0, "deny": 1},
            "nobody-borrows-power": {"allow": 0, "deny": 1},
            "web": {"allow": 2, "deny": 0},
        },
        "subjects": {
            "uid 33 /usr/sbin/nginx": {"allow": 2, "deny": 1},
            "uid 33 /bin/c\udce9": {"allow": 0, "deny": 1},
        },
        "entries": {"listen/web": {"allow": 2, "deny": 1}, "x\\y": {"allow": 0, "deny": 1}},
    }

    assert expected == count(RECORDS).as_json()


def test_nothing_to_count() -> None:
    """Every verdict is there, as none."""
    counted = count([]).as_json()

    assert (0, None, {"allow": 0, "deny": 0}) == (counted["records"], counted["first"], counted["verdicts"])


def test_what_was_denied_most_comes_first() -> None:
    """Then what was asked for most, then by name."""
    stats = count(
        [
            allowed(1, action="list"),
            allowed(2),
            verdict(3, action="take"),
            allowed(4),
            allowed(5, action="seal"),
        ]
    )

    assert ["take", "retrieve", "list", "seal"] == list(by_name(stats.actions))


def test_a_subject_without_a_program() -> None:
    """Such as one that was gone, is counted by its uid."""
    gone = verdict(1)
    gone["subject"] = {"pid": 77, "uid": 33, "gid": 33, "details": "gone"}

    assert ["uid 33"] == list(by_name(count([gone]).subjects))
