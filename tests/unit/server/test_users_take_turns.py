"""Turns: however many connections a user has, the loop serves each user once before it serves anybody again."""

import os
import select
import socket
from collections.abc import Callable, Iterator
from itertools import groupby

import pytest

from fdstorefs.server.loop import EPOLLIN, EPOLLOUT, Loop
from fdstorefs.server.user_turns import UserTurns

Order = list[str]


class Crowd:
    """Users with pipes in which there is always something to read, and who was served in which order."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.order: Order = []
        self._ends: list[int] = []
        self._all: list[UserTurns] = []

    def user(self, name: str, pipes: int) -> UserTurns:
        """A user with so many connections, all of them ready."""
        turns = UserTurns(self.loop, len(self._all))
        self._all.append(turns)
        for number in range(pipes):
            turns.register(self.ready_pipe(), lambda _events, who=f"{name}{number}": self.order.append(who))
        return turns

    def ready_pipe(self) -> int:
        """The reading end of a pipe with something in it."""
        reader, writer = os.pipe()
        os.write(writer, b"x")
        self._ends += [reader, writer]
        return reader

    def run(self, turns: int) -> None:
        """So many turns of the loop."""
        for _ in range(turns):
            self.loop._turn()

    def close(self) -> None:
        """Let go of everything."""
        for turns in self._all:
            turns.close()
        self.loop.close()
        for end in self._ends:
            os.close(end)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """Nobody yet."""
    crowd = Crowd()
    yield crowd
    crowd.close()


def turns_of(name: str, order: Order) -> int:
    """How many turns a user had."""
    return sum(each.startswith(name) for each in order)


def again_and_again(turns: UserTurns, say: Callable[[], None]) -> Callable[[], None]:
    """Something that wants to be called soon whenever it was."""

    def function() -> None:
        say()
        turns.call_soon(function)

    return function


def test_a_user_with_many_connections_has_as_many_turns_as_one_with_one(crowd: Crowd) -> None:
    """256 connections that are always ready against one: turn and turn about."""
    crowd.user("many", 256)
    crowd.user("one", 1)
    crowd.run(50)

    assert (50, 50) == (turns_of("many", crowd.order), turns_of("one", crowd.order))


def test_a_users_connections_are_served_in_turn(crowd: Crowd) -> None:
    """None has a second turn before all have had one."""
    crowd.user("a", 5)
    crowd.run(10)

    assert [f"a{number}" for number in range(5)] * 2 == crowd.order


def test_what_is_ready_besides_is_served_every_turn(crowd: Crowd) -> None:
    """The mount, and whatever else the loop itself watches, waits for one turn of each user."""
    crowd.user("many", 64)
    crowd.user("others", 64)
    crowd.loop.register(crowd.ready_pipe(), lambda _events: crowd.order.append("mount"))
    crowd.run(20)

    assert 20 == turns_of("mount", crowd.order)
    assert 40 == len(crowd.order) - 20


def test_calls_that_are_already_here_have_no_turns_of_their_own(crowd: Crowd) -> None:
    """Who has sent many calls ahead on many connections is served as often as who waits for each answer."""
    eager = crowd.user("eager", 3)
    crowd.user("one", 1)
    for number in range(30):
        eager.call_soon(again_and_again(eager, lambda number=number: crowd.order.append(f"eager-{number}")))
    crowd.run(40)

    assert 40 == turns_of("one", crowd.order)
    assert 39 <= turns_of("eager", crowd.order) <= 41


def test_calls_that_are_already_here_do_not_keep_the_users_others_waiting(crowd: Crowd) -> None:
    """The same user's connections that have something new are served every other turn."""
    turns = crowd.user("a", 2)
    turns.call_soon(again_and_again(turns, lambda: crowd.order.append("soon")))
    crowd.run(20)
    soon = crowd.order.count("soon")

    assert 9 <= soon <= 11
    assert all(len(list(same)) == 1 for _, same in groupby(crowd.order, key=lambda who: who == "soon"))


def test_what_is_said_soon_comes_in_order_and_once(crowd: Crowd) -> None:
    """One in each turn, when nothing else is ready."""
    turns = crowd.user("nobody", 0)
    for number in range(3):
        turns.call_soon(lambda number=number: crowd.order.append(str(number)))
    crowd.run(3)

    assert ["0", "1", "2"] == crowd.order


def test_a_failing_connection_is_watched_no_more_and_fails_nobody_else(crowd: Crowd) -> None:
    """As in the loop; the loop is told."""
    turns = crowd.user("good", 1)
    told: list[str] = []
    crowd.loop.on_error = lambda _callback, error: told.append(str(error))

    def fail(_events: int = 0) -> None:
        raise ValueError("broken")

    turns.register(crowd.ready_pipe(), fail)
    turns.call_soon(fail)
    crowd.run(10)

    assert ["broken", "broken"] == told
    assert turns_of("good", crowd.order) >= 7


def test_the_only_connection_is_told_of_what_it_waits_for(crowd: Crowd) -> None:
    """Room to write, a hang-up while it waits for nothing, and the end of what can be read."""
    turns = crowd.user("nobody", 0)
    ours, theirs = socket.socketpair()
    seen: list[int] = []
    turns.register(ours.fileno(), seen.append, EPOLLOUT)
    crowd.run(1)
    turns.modify(ours.fileno(), 0)
    theirs.close()
    crowd.run(1)
    turns.modify(ours.fileno(), EPOLLIN)
    crowd.run(1)
    turns.unregister(ours.fileno())
    ours.close()

    assert EPOLLOUT == seen[0]
    assert seen[1] & select.EPOLLHUP
    assert seen[2] & EPOLLIN


def test_what_was_to_be_called_soon_is_not_once_the_user_has_left(crowd: Crowd) -> None:
    """Its connections are closed by then."""
    turns = UserTurns(crowd.loop, 1)
    turns.call_soon(lambda: crowd.order.append("late"))
    turns.close()
    crowd.loop.call_soon(lambda: None)
    crowd.run(1)

    assert [] == crowd.order
