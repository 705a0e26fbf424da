"""Workers: what is stuck for one user holds up nobody else."""

import threading
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.server.workers import Workers

PATIENCE = 20.0
Job = Callable[[], None]


class Shop:
    """Four workers, of whom one user may have two, and work that is stuck until `release`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._change = threading.Condition()
        self._released = threading.Event()
        self.begun = 0
        self.workers = Workers(self._post, most=4, idle=0.1, most_of_one=2)

    def _post(self, function: Job) -> None:
        with self._change:
            function()
            self._change.notify_all()

    def give(self, name: str, uid: int | None, *, stuck: bool = False) -> None:
        """Work of a user."""
        self.workers.run(self._stuck if stuck else _nothing, lambda _result: self.done.append(name), uid)

    def _stuck(self) -> None:
        with self._change:
            self.begun += 1
            self._change.notify_all()
        self._released.wait(PATIENCE)

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Until something is so."""
        with self._change:
            return self._change.wait_for(condition, PATIENCE)

    def release(self) -> None:
        """What is stuck goes on."""
        self._released.set()


def _nothing() -> None:
    """Work that is no work."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Nobody works yet."""
    shop = Shop()
    yield shop
    shop.release()
    shop.workers.close()


def test_one_user_has_only_a_share_of_the_threads(shop: Shop) -> None:
    """Ten jobs of one are stuck; another's and the server's own are done all the same."""
    for number in range(10):
        shop.give(f"stuck{number}", 1, stuck=True)
    shop.wait_for(lambda: shop.begun == 2)
    for number in range(5):
        shop.give(f"other{number}", 2)
        shop.give(f"own{number}", None)

    assert shop.wait_for(lambda: len(shop.done) == 10)
    assert 2 == shop.begun
    assert not [name for name in shop.done if name.startswith("stuck")]


def test_what_waited_is_done_in_the_end(shop: Shop) -> None:
    """In its order, two at a time."""
    for number in range(10):
        shop.give(str(number), 1, stuck=True)
    shop.release()

    assert shop.wait_for(lambda: len(shop.done) == 10)
    assert {str(number) for number in range(10)} == set(shop.done)


def test_what_the_server_does_for_itself_takes_all_threads(shop: Shop) -> None:
    """Its own work is no user's."""
    for number in range(4):
        shop.give(str(number), None, stuck=True)

    assert shop.wait_for(lambda: shop.begun == 4)


def test_threads_end_when_there_is_no_work(shop: Shop) -> None:
    """Also those that were busy for somebody who has more to do than his share."""
    for number in range(6):
        shop.give(str(number), 1, stuck=True)
    shop.wait_for(lambda: shop.begun == 2)
    shop.release()
    shop.wait_for(lambda: len(shop.done) == 6)
    ended = threading.Event()
    while shop.workers.threads:
        ended.wait(0.01)

    assert 0 == shop.workers.threads
