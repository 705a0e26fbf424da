"""Which known word is offered for one that isn't known."""

import pytest

from fdstorefs.policy.definitions import belongs
from fdstorefs.policy.nearest import did_you_mean, nearest

KNOWN = ("entries", "entries-per-uid", "opener-unknown", "userns")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("entrys", "entries"),
        ("ENTRIES", "entries"),
        ("opener_unknown", "opener-unknown"),
        ("user-ns", "userns"),
        ("xyz", None),
        ("entries" * 10, None),
        ("", None),
    ],
)
def test_nearest(word: str, meant: str | None) -> None:
    """Case, dashes and a letter or two make no difference; what is far from all is like none."""
    assert meant == nearest(word, KNOWN)


def test_as_a_hint() -> None:
    """A question, or nothing."""
    assert "did you mean `userns`?" == did_you_mean("usrns", KNOWN)
    assert did_you_mean("xyz", KNOWN) is None


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("version", "at the top"),
        ("entries", "in a rule or under `limits`"),
        ("uid", "in a set or under `stasher`, `opener` or `subject`"),
        ("description", "at the top or in a rule"),
        ("gid", "in a set or under `subject`"),
        ("nothing", None),
    ],
)
def test_where_a_key_belongs(key: str, where: str | None) -> None:
    """Every place, as part of a sentence."""
    assert where == belongs(key)
