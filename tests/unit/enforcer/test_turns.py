"""Work that takes a while is done one piece at a time for each user, and few for all."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.enforcer.turns import Turns
from fdstorefs.server.loop import Loop

PATIENCE = 20.0
ANNA, BERTA, CLARA = 1, 2, 3


class Scene:
    """Turns, for two at once, and what came of them in order."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.turns = Turns(self.loop, 2)
        self.ends: list[object] = []
        self.may_go_on = threading.Event()
        self.begun: list[str] = []

    def work(self, name: str) -> Callable[[], str]:
        """Work that goes on until it may."""

        def do() -> str:
            self.begun.append(name)
            assert self.may_go_on.wait(PATIENCE)
            return name

        return do

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Run the loop until it holds, and no longer than a deadline."""
        deadline = time.monotonic() + PATIENCE

        def look() -> None:
            if condition() or time.monotonic() > deadline:
                self.loop.stop()
            else:
                self.loop.call_at(time.monotonic() + 0.002, look)

        self.loop.call_soon(look)
        self.loop.run()
        assert condition()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Nobody has anything to do yet."""
    made = Scene()
    yield made
    made.may_go_on.set()
    made.loop.close()


def test_one_at_a_time_for_each_user(scene: Scene) -> None:
    """Others need not wait for the second one, and the third user comes before it."""
    for uid, name in ((ANNA, "a1"), (ANNA, "a2"), (BERTA, "b"), (CLARA, "c")):
        scene.turns.take(uid, scene.work(name), scene.ends.append)
    scene.run_until(lambda: len(scene.begun) == 2)

    assert {"a1", "b"} == set(scene.begun)
    scene.may_go_on.set()
    scene.run_until(lambda: len(scene.ends) == 4)
    assert {"a1", "a2", "b", "c"} == set(scene.ends)


def test_what_is_given_up_is_not_done(scene: Scene) -> None:
    """Unless it has begun."""
    first = scene.turns.take(ANNA, scene.work("1"), scene.ends.append)
    second = scene.turns.take(ANNA, scene.work("2"), scene.ends.append)

    assert [False, True, False] == [scene.turns.give_up(each) for each in (first, second, second)]
    scene.may_go_on.set()
    scene.turns.take(ANNA, scene.work("3"), scene.ends.append)
    scene.run_until(lambda: len(scene.ends) == 2)
    assert ["1", "3"] == scene.ends


def test_a_failure_ends_a_turn(scene: Scene) -> None:
    """It is told, and the next one comes."""

    def fail() -> None:
        raise ValueError

    scene.may_go_on.set()
    scene.turns.take(ANNA, fail, lambda error: scene.ends.append(type(error)))
    scene.turns.take(ANNA, scene.work("next"), scene.ends.append)
    scene.run_until(lambda: len(scene.ends) == 2)

    assert [ValueError, "next"] == scene.ends


def test_who_kept_the_loop_busy_comes_after_others(scene: Scene) -> None:
    """Even after those who came later, so that nobody has the loop to himself."""
    scene.may_go_on.set()

    def keep_busy(name: object) -> None:
        scene.ends.append(name)
        began = time.monotonic()
        while time.monotonic() - began < 0.01:
            pass
        scene.turns.take(BERTA, scene.work("b"), scene.ends.append)

    for name in ("a1", "a2"):
        scene.turns.take(ANNA, scene.work(name), keep_busy if name == "a1" else scene.ends.append)
    scene.run_until(lambda: len(scene.ends) == 3)

    assert ["a1", "b", "a2"] == scene.ends
