"""From when the keeper is told that another serves, exactly one does in the end, whoever of the three is killed."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

from fdstorefs.client.store import Store
from tests.mount.tortured import connect, repeat
from tests.mount.upgrade.programs import SECONDS, Changes, Installed, is_same
from tests.mount.upgrade.test_kill_9_during_an_upgrade import (
    SUCCEEDING,
    child_but,
    children_of,
    is_settled,
    stopping,
)
from tests.mount.waiting import wait_for

GO_ON = "    made.go_on(introduced, upgraded)"
TOLD = "    return former.relieve()"
UNSETTLED = "who is to serve now is not settled yet"
IMPATIENT: Changes = {
    "server/upgrading/outgoing.py": ("TAKING_SECONDS = 5.0", "TAKING_SECONDS = 2.0"),
}


class Upgrade:
    """One that is under way, with an entry `a` that is `descriptor`'s file."""

    def __init__(self, installed: Installed, changes: Changes, old: Changes | None = None) -> None:
        if old is not None:
            installed.install("1.0", old)
        self.installed, self.store = installed, installed.start()
        self.descriptor = os.memfd_create("a")
        self.store.stash("a", self.descriptor)
        status = self.store.status()
        assert status.keeper is not None
        self.old, self.keeper = status.pid, status.keeper
        self._known = children_of(self.keeper)
        self.result: subprocess.CompletedProcess[str] | None = None
        installed.install("2.0", changes)
        self._asking = threading.Thread(target=self._ask)
        self._asking.start()

    def _ask(self) -> None:
        self.result = self.installed.upgrade()

    def arrive(self) -> None:
        """The new server is where it stops."""
        self.installed.await_words("it is there")
        self.new = child_but(self.keeper, self._known)

    def kill(self, *pids: int) -> None:
        """With SIGKILL."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def outcome(self) -> tuple[int, str, bool]:
        """Who serves, which version, and whether it has what was stored and is kept by somebody."""
        self._asking.join()
        with connect(self.installed.mount) as store:
            wait_for(lambda: is_settled(store), SECONDS, "somebody who serves, and a keeper")
            status = repeat(store, Store.status)
            return status.pid, status.version, is_same(store, "a", self.descriptor)


def test_a_server_that_fails_is_followed_by_another(installed: Installed) -> None:
    """The keeper, which lives, sees to that; the old server does not serve again, nor end the keeper."""
    upgrade = Upgrade(installed, {SUCCEEDING: (GO_ON, '    raise RuntimeError("no luck")')})
    pid, version, is_there = upgrade.outcome()

    assert ("2.0", True) == (version, is_there)
    assert pid != upgrade.old
    assert "no upgrade" not in installed.said()
    assert "another (pid" not in installed.said()


def test_one_that_was_told_serves_although_it_is_slow(installed: Installed) -> None:
    """The keeper is killed when it has told it, and the old server has waited longer than it wanted to."""
    upgrade = Upgrade(installed, {SUCCEEDING: (TOLD, installed.stopping_before(TOLD))}, IMPATIENT)
    upgrade.arrive()
    upgrade.kill(upgrade.keeper)
    installed.await_words(UNSETTLED)
    installed.let_through()

    assert (upgrade.new, "2.0", True) == upgrade.outcome()
    assert "no upgrade" not in installed.said()


def _old(upgrade: Upgrade) -> tuple[int, str]:
    return upgrade.old, "1.0"


def _new(upgrade: Upgrade) -> tuple[int, str]:
    return upgrade.new, "2.0"


@pytest.mark.parametrize(("who", "then"), [("keeper", _old), ("old server and keeper", _new)])
def test_a_keeper_that_has_not_heard_of_it_is_killed(
    installed: Installed, who: str, then: Callable[[Upgrade], tuple[int, str]]
) -> None:
    """The old server goes on; if that is killed, too, the new one does, for it has everything."""
    upgrade = Upgrade(installed, stopping(installed, "while it takes up"), IMPATIENT)
    upgrade.arrive()
    os.kill(upgrade.keeper, signal.SIGSTOP)
    installed.let_through()
    installed.await_words(UNSETTLED)
    upgrade.kill(*([upgrade.old] if "old" in who else []), upgrade.keeper)

    assert (*then(upgrade), True) == upgrade.outcome()
    assert upgrade.result is not None
    assert ("the keeper that started it is gone" in upgrade.result.stderr) == (then is _old)


def test_a_keeper_that_is_killed_while_it_prepares(installed: Installed) -> None:
    """The upgrade fails, and the old server goes on: the next keeper knows nothing of the new one."""
    upgrade = Upgrade(installed, stopping(installed, "while it prepares"))
    upgrade.arrive()
    upgrade.kill(upgrade.keeper)
    installed.let_through()

    assert (upgrade.old, "1.0", True) == upgrade.outcome()
    assert upgrade.result is not None
    assert "the keeper that started it is gone" in upgrade.result.stderr
