"""kill -9 of anybody at any step of an upgrade, or right after it: what was acknowledged is there."""

import os
import select
import signal
import threading
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.tortured import connect, repeat
from tests.mount.upgrade.programs import SECONDS, Changes, Installed, is_same
from tests.mount.waiting import wait_for

SUCCEEDING = "server/upgrading/succeeding.py"
STEPS = {
    "while it prepares": '    talk.say_much("prepared"',
    "while it takes up": '    if prepared.choice.line is not None:\n        talk.say("built")',
    "before it waits for the word": "    if not line.await_word(",
    "before it serves": "    made.go_on(introduced, upgraded)",
}
"""Where the new server stops."""

BUILDING = "    made = Instance("
"""Where it stops when it has been told everything, and has not heard that it is to serve."""


def stopping(installed: Installed, at: str) -> Changes:
    """A new program whose server says that it is there, and stops until it is let through."""
    return {SUCCEEDING: (STEPS[at], installed.stopping_before(STEPS[at]))}


def begun(installed: Installed, changes: Changes, keeper: int) -> tuple[int, threading.Thread]:
    """An upgrade whose new server stops: that one's pid, and who asks for it."""
    installed.install("2.0", changes)
    known = children_of(keeper)
    asking = threading.Thread(target=installed.upgrade)
    asking.start()
    installed.await_words("it is there")
    return child_but(keeper, known), asking


def child_but(keeper: int, known: set[int]) -> int:
    """The new program's server."""
    return max(children_of(keeper) - known)


def children_of(keeper: int) -> set[int]:
    """Its servers, and its spare."""
    return set(map(int, Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()))


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("who", ["old server", "new server", "keeper"])
def test_nothing_is_lost(installed: Installed, at: str, who: str) -> None:
    """Whoever it is that is killed: the entries are there, and the same open files, and it can be used."""
    store = installed.start()
    descriptor = os.memfd_create("a")
    store.stash("a", descriptor, label="kept")
    status = store.status()
    assert status.keeper is not None
    new, asking = begun(installed, stopping(installed, at), status.keeper)
    os.kill({"old server": status.pid, "new server": new, "keeper": status.keeper}[who], signal.SIGKILL)
    installed.let_through()
    asking.join()

    with connect(installed.mount) as anew:
        wait_for(lambda: is_settled(anew), SECONDS, "somebody who serves, and a keeper")
        assert "kept" == repeat(anew, lambda store: store.list())[0].label
        assert is_same(anew, "a", descriptor)
        repeat(anew, lambda store: store.stash("b", 0, replace=True))
    installed.install("3.0")
    with connect(installed.mount) as anew:
        assert "3.0" == anew.upgrade().version
        assert is_same(anew, "a", descriptor)


def is_settled(store: fdstorefs.Store) -> bool:
    """Whether there is a server, and a keeper that lives."""
    status = repeat(store, lambda store: store.status())
    return all(os.path.exists(f"/proc/{pid}") for pid in (status.pid, status.keeper))


def test_who_only_stands_by_starts_no_keeper(installed: Installed) -> None:
    """The keeper is killed, and the new server meets that before the old one does: else there would be two of each."""
    store = installed.start()
    descriptor = os.memfd_create("a")
    store.stash("a", descriptor)
    status = store.status()
    assert status.keeper is not None
    changes = {SUCCEEDING: (BUILDING, installed.stopping_before(BUILDING))}
    pid, asking = begun(installed, changes, status.keeper)
    new = os.pidfd_open(pid)
    os.kill(status.pid, signal.SIGSTOP)
    os.kill(status.keeper, signal.SIGKILL)
    installed.let_through()
    ended = select.select([new], [], [], SECONDS)[0]
    os.close(new)
    os.kill(status.pid, signal.SIGCONT)
    asking.join()

    assert ended
    with connect(installed.mount) as anew:
        wait_for(lambda: is_settled(anew), SECONDS, "somebody who serves, and a keeper")
        assert repeat(anew, lambda store: store.status()).pid == status.pid
        assert is_same(anew, "a", descriptor)
    assert installed.said().count("is gone; another") == 1


@pytest.mark.parametrize("who", ["pid", "keeper"])
def test_right_after_it(installed: Installed, who: str) -> None:
    """The keeper may be in the middle of executing the new program."""
    store = installed.start()
    descriptor = os.memfd_create("a")
    for version in ("2.0", "3.0"):
        repeat(store, lambda store: store.stash("a", descriptor, replace=True))
        installed.install(version)
        with connect(installed.mount) as another:
            another.upgrade()
            os.kill(getattr(another.status(), who), signal.SIGKILL)
        with connect(installed.mount) as anew:
            assert is_same(anew, "a", descriptor)
            assert version == repeat(anew, lambda store: store.status()).version


def test_it_is_told_to_end_meanwhile(installed: Installed) -> None:
    """SIGTERM in the middle of an upgrade ends the instance, whoever serves by then."""
    store = installed.start()
    keeper = store.status().keeper
    installed.install("2.0", stopping(installed, "while it takes up"))
    asking = threading.Thread(target=installed.upgrade)
    asking.start()
    installed.await_words("it is there")
    assert keeper is not None
    os.kill(keeper, signal.SIGTERM)
    installed.let_through()
    asking.join()

    wait_for(lambda: not os.path.ismount(installed.mount), SECONDS, "the end")
