"""What the log says of refused connections: enough to know of it, and not as much as there are."""

import pytest

from fdstorefs.server.varlink.turned_away import MOST_USERS, SILENT_SECONDS, TurnedAway


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """It stands still until somebody moves it."""
    return Clock()


def test_a_user_is_told_of_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Then nothing for a while, and then how many there were."""
    turned_away = TurnedAway(clock)
    for _ in range(1000):
        turned_away.tell(7, "it has 64")
    first = [record.getMessage() for record in caplog.records]
    clock.now += SILENT_SECONDS
    turned_away.tell(7, "it has 64")

    assert ["a further connection of uid 7 is refused: it has 64"] == first
    assert caplog.records[-1].getMessage() == (
        "a further connection of uid 7 is refused: it has 64 (so were 999 before it, of which nothing was said)"
    )


def test_another_user_is_told_of_at_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """However often the first has tried."""
    turned_away = TurnedAway(clock)
    for _ in range(3):
        turned_away.tell(7, "no room")
    turned_away.tell(8, "no room")

    assert ["uid 7", "uid 8"] == [record.getMessage()[24:29] for record in caplog.records]


def test_whoever_is_very_many_users_is_told_of_as_one(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A range of subordinate ids writes no more than a part of itself."""
    turned_away = TurnedAway(clock)
    for uid in range(10 * MOST_USERS):
        turned_away.tell(uid, "no room")

    assert len(caplog.records) == MOST_USERS
