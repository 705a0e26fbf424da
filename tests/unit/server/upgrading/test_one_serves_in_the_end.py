"""However an upgrade ends: either the old server serves, or somebody sees to it that another one does."""

import socket
from collections.abc import Iterator

import pytest

from fdstorefs.errors import Overloaded, StoreError
from fdstorefs.server.upgrading.talk import Talk
from tests.unit.server.upgrading.an_attempt import Trial


@pytest.fixture
def trial() -> Iterator[Trial]:
    """One whose keeper starts the new program."""
    made = Trial()
    yield made
    made.close()


def test_failed_after_the_word_is_no_reason_to_serve_again(trial: Trial) -> None:
    """The keeper has the new server for its own, and starts another when that ends."""
    trial.commit()
    trial.line.is_dismissed = True
    trial.say("failed", why="no luck")

    assert (False, [], [True]) == (trial.serves, trial.failed, trial.left)


def test_a_new_server_that_lives_is_waited_for(trial: Trial) -> None:
    """The keeper may have told it to serve before it was killed."""
    trial.commit()
    trial.line.has_keeper = False
    trial.loop.time_is_up()
    trial.loop.time_is_up()

    assert (False, [], []) == (trial.serves, trial.failed, trial.left)
    trial.say("serving")
    assert [True] == trial.left


def test_a_keeper_that_has_not_heard_yet_is_waited_for(trial: Trial) -> None:
    """It may be killed before it hears, and the new server then waits for its word in vain."""
    trial.commit()
    trial.loop.time_is_up()

    assert [] == trial.left
    trial.line.has_keeper = False
    trial.end_new()
    assert (True, 1, "stay") == (trial.serves, len(trial.failed), trial.line.said[-1])


def test_a_keeper_that_hears_at_last_starts_another(trial: Trial) -> None:
    """Although the new server is dead by then: this one is no server to it any more."""
    trial.commit()
    trial.end_new()
    trial.loop.time_is_up()

    assert ([], []) == (trial.failed, trial.left)
    trial.line.is_dismissed = True
    trial.loop.time_is_up()
    assert ([], [True]) == (trial.failed, trial.left)


@pytest.mark.parametrize("when", ["prepared", "taken"])
def test_another_keeper_is_not_told_of_what_it_has_not_started(trial: Trial, when: str) -> None:
    """It would not have it serve. The upgrade fails, and this server goes on."""
    trial.begin()
    if when == "taken":
        trial.prepare()
    trial.line.pid = 1001
    if when == "taken":
        trial.say("taken")
    else:
        trial.prepare()

    assert "succeeded" not in trial.line.said
    assert (True, 1) == (trial.serves, len(trial.failed))
    assert "the keeper that started it is gone" in trial.failed[0].message


def test_nothing_is_left_of_one_that_cannot_begin() -> None:
    """A keeper that cannot fork closes the line to the new server at once."""
    trial = Trial(starts=False)
    trial.attempt.begin(trial.failed.append)
    trial.loop.turn()
    trial.close()

    assert ({}, [], False) == (trial.loop.callbacks, trial.loop.later, trial.is_held)
    assert (["upgrade", "stay"], 1) == (trial.line.said, len(trial.failed))


def test_one_that_cannot_be_told_of_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper has too much to do: whoever asked for the upgrade hears that."""
    trial = Trial()
    monkeypatch.setattr(trial.line, "start_program", _refuse)
    with pytest.raises(Overloaded):
        trial.attempt.begin(trial.failed.append)
    trial.close()

    assert ({}, [], False) == (trial.loop.callbacks, trial.loop.later, trial.is_held)


def test_one_that_cannot_be_greeted_is_not_started() -> None:
    """The kernel takes no message of that size."""
    trial = Trial(path="/" + "x" * (1 << 20))
    with pytest.raises(StoreError, match="the old server goes on"):
        trial.attempt.begin(trial.failed.append)
    trial.close()

    assert ({}, [], False, []) == (trial.loop.callbacks, trial.loop.later, trial.is_held, trial.line.said)


def test_one_that_fails_before_it_is_greeted_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be faster than this server, whose processor others use."""
    trial = Trial()
    monkeypatch.setattr(trial.line, "start_program", _fail_at_once)
    trial.attempt.begin(trial.failed.append)
    trial.loop.turn()
    trial.close()

    assert trial.serves
    assert ["no luck"] == [each.message.rpartition(": ")[2] for each in trial.failed]


def _refuse(_its_end: socket.socket) -> None:
    raise Overloaded("the keeper has more to do than it can")


def _fail_at_once(its_end: socket.socket) -> None:
    new = Talk(its_end.dup())
    new.say("failed", why="no luck")
    new.close()
