"""Shares: how much of something scarce each user may have, so that one cannot use up what all need. Pure."""

from typing import NamedTuple


class Most(NamedTuple):
    """The most that one user may have, and all users together."""

    per_uid: int
    total: int


class Counts(dict[int, int]):
    """How many of something each user has; who has none is not in it."""

    __slots__ = ()

    def of(self, uid: int) -> int:
        """What this user has."""
        return self.get(uid, 0)

    def add(self, uid: int, more: int) -> None:
        """Give the user more; a negative number takes it back."""
        count = self.get(uid, 0) + more
        if count:
            self[uid] = count
        else:
            self.pop(uid, None)


class Shares:
    """Counts units against a bound for each user and one for all together."""

    __slots__ = ("_by_uid", "per_uid", "total", "used")

    def __init__(self, per_uid: int, total: int) -> None:
        self.per_uid = per_uid
        self.total = total
        self.used = 0
        self._by_uid = Counts()

    def of(self, uid: int) -> int:
        """What this user has."""
        return self._by_uid.of(uid)

    def fits(self, uid: int, amount: int) -> bool:
        """Whether the user could have `amount` more."""
        return self._by_uid.of(uid) + amount <= self.per_uid and self.used + amount <= self.total

    def take(self, uid: int, amount: int) -> None:
        """Give the user more, whether it fits or not; a negative amount takes it back."""
        if not amount:
            return
        self.used += amount
        self._by_uid.add(uid, amount)


class Share:
    """One connection's part in `Shares`."""

    __slots__ = ("_shares", "_uid", "amount")

    def __init__(self, shares: Shares, uid: int) -> None:
        self._shares = shares
        self._uid = uid
        self.amount = 0

    def set(self, amount: int) -> bool:
        """Change the amount; False if that is more than the user may have."""
        more = amount - self.amount
        if more:
            self._shares.take(self._uid, more)
            self.amount = amount
        return more <= 0 or self._shares.fits(self._uid, 0)

    def fits(self, more: int) -> bool:
        """Whether this user could have `more`."""
        return self._shares.fits(self._uid, more)
