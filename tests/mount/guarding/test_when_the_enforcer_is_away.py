"""While the kernel enforces and the enforcer is away, what is stored is delivered and nothing new is stored."""

import os
from collections.abc import Callable

import pytest

import fdstorefs
from fdstorefs.errors import NotGuarded
from fdstorefs.server.guarding.enforcer import FILES_AT_ONCE
from fdstorefs.server.guarding.releases import MOST_WAITING
from tests.mount.guarding.conftest import Serve
from tests.mount.guarding.fake_enforcer import FakeEnforcer
from tests.mount.waiting import wait_for

MANY = 150
"""More than are told in one message."""


@pytest.fixture
def gone(store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int) -> FakeEnforcer:
    """An enforcer that has ended, after `x` and a box were made."""
    store.stash("x", some_file)
    store.make_box("box")
    enforcer.end()
    return enforcer


def comes_back(enforcer: FakeEnforcer) -> None:
    """It starts again, and is found."""
    enforcer.start()
    enforcer.await_call("Register", 2)


def test_what_is_stored_is_delivered(gone: FakeEnforcer, store: fdstorefs.Store) -> None:
    """The kernel goes on without the enforcer."""
    store.retrieve("x").close()
    with open(f"{store.mount}/x", "rb") as entry:
        assert b"" == entry.read()


NEW_NAMES: dict[str, Callable[[fdstorefs.Store, int], object]] = {
    "stash": lambda store, file: store.stash("y", file),
    "replace": lambda store, file: store.stash("x", file, replace=True),
    "link": lambda store, _: store.link("x", "y"),
    "rename": lambda store, _: store.rename("x", "y"),
}


@pytest.mark.parametrize("change", NEW_NAMES)
def test_nothing_gets_a_name(gone: FakeEnforcer, store: fdstorefs.Store, change: str) -> None:
    """The kernel would not know by which names to judge. All stays as it is, and the client is told why."""
    other = os.memfd_create("other")
    with pytest.raises(NotGuarded, match="the enforcer is away") as raised:
        NEW_NAMES[change](store, other)
    os.close(other)

    assert (["box", "x"], 3) == ([entry.name for entry in store.list()], raised.value.exit_code)


def test_names_may_go(gone: FakeEnforcer, store: fdstorefs.Store) -> None:
    """Nobody is kept from closing what is his. What could not be released is, once there is somebody to tell."""
    store.discard("x")
    assert ["box"] == [entry.name for entry in store.list()]
    comes_back(gone)
    gone.await_call("Release")

    assert {} == gone.names


def test_what_was_refused_is_released_later(gone: FakeEnforcer, store: fdstorefs.Store) -> None:
    """Its owner can pass it on again, without having to do anything."""
    other = os.memfd_create("other")
    number = os.fstat(other).st_ino
    gone.names[number] = ["as received"]
    with pytest.raises(NotGuarded):
        store.stash("y", other)
    os.close(other)
    comes_back(gone)
    gone.await_call("Release")

    assert number not in gone.names


def test_status_and_log_say_so_once(enforcer: FakeEnforcer, serve: Serve, some_file: int) -> None:
    """Not at every request."""
    instance = serve()
    with fdstorefs.connect(instance.mount) as store:
        store.stash("x", some_file)
        enforcer.end()
        wait_for(lambda: "is away" in store.status().enforcement_reason, 10, "the loss to be noticed")
        for _ in range(3):
            with pytest.raises(NotGuarded):
                store.link("x", "y")

    assert 1 == instance.said().count("enforcement: the enforcer is away")


def test_it_is_told_everything_when_it_comes_back(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """All names of all files, a few at a time, by an instance that says which one it was."""
    files = {f"f{number}": os.memfd_create("many") for number in range(MANY)}
    store.stash_many(files)
    for descriptor in files.values():
        os.close(descriptor)
    store.link("f0", "also")
    enforcer.end()
    enforcer.names.clear()
    enforcer.calls.clear()
    enforcer.start()
    enforcer.await_call("Guard", -(-MANY // FILES_AT_ONCE))

    assert [7] == [call["previous"] for call in enforcer.of("Register")]
    assert sorted([["also", "f0"], *([f"f{number}"] for number in range(1, MANY))]) == enforcer.paths
    assert all(len(call["files"]) <= FILES_AT_ONCE for call in enforcer.of("Guard"))
    store.stash("new", some_file)


def test_one_that_does_not_answer_is_gone(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """Nobody waits for it for long, and the instance serves on."""
    store.stash("x", some_file)
    other = os.memfd_create("other")
    enforcer.silent = True
    with pytest.raises(NotGuarded, match="the enforcer does not answer"):
        store.stash("y", other)
    os.close(other)

    store.retrieve("x").close()
    assert ["x"] == [entry.name for entry in store.list()]


def test_an_instance_ends_in_order_without_it(enforcer: FakeEnforcer, serve: Serve) -> None:
    """Whether it is there or not."""
    instances = [serve(), serve()]
    assert 0 == instances[0].stop()
    enforcer.end()
    assert 0 == instances[1].stop()


def test_more_than_can_wait_is_closed_at_once_and_said_once(
    enforcer: FakeEnforcer, serve: Serve, some_file: int
) -> None:
    """Descriptors of what nobody wants are scarce. When the enforcer is back, what could wait is released."""
    instance = serve()
    with fdstorefs.connect(instance.mount) as store:
        store.stash("x", some_file)
        enforcer.end()
        for _ in range(MOST_WAITING + 3):
            other = os.memfd_create("other")
            with pytest.raises(NotGuarded):
                store.stash("y", other)
            os.close(other)
        comes_back(enforcer)
        enforcer.await_call("Release", MOST_WAITING)
        store.stash("y", some_file)

    assert MOST_WAITING == len(enforcer.of("Release"))
    assert 1 == instance.said().count("too much waits for the enforcer")
