"""Shares: one user cannot use up what all need."""

from fdstorefs.server.shares import Counts, Share, Shares


def test_a_user_is_bounded_and_others_are_not_concerned() -> None:
    """The bound of one user holds for the sum of its connections."""
    shares = Shares(per_uid=10, total=100)
    first, second, other = Share(shares, 1), Share(shares, 1), Share(shares, 2)

    assert first.set(8)
    assert not second.set(3)
    assert other.set(10)


def test_all_together_are_bounded() -> None:
    """However many users there are."""
    shares = Shares(per_uid=10, total=15)

    assert Share(shares, 1).set(10)
    assert not Share(shares, 2).set(6)


def test_less_is_always_allowed() -> None:
    """Who has too much may give some back, and is not told off for it."""
    shares = Shares(per_uid=10, total=100)
    share = Share(shares, 1)
    share.set(20)

    assert share.set(15)
    assert share.set(15)
    assert not share.set(16)


def test_what_is_given_back_is_forgotten() -> None:
    """Nothing stays behind for users who left."""
    shares = Shares(per_uid=10, total=100)
    share = Share(shares, 1)
    share.set(7)
    share.set(0)

    assert shares.used == 0
    assert shares.of(1) == 0
    assert shares.fits(1, 10)
    assert not shares.fits(1, 11)


def test_who_has_none_is_not_counted() -> None:
    """Users who come and go leave no trace, also if they had none to begin with."""
    counts = Counts()
    counts.add(1, 2)
    counts.add(2, 1)
    counts.add(3, 0)
    counts.add(2, -1)

    assert {1: 2} == counts
    assert [2, 0, 0] == [counts.of(uid) for uid in (1, 2, 3)]
