"""An instance as a unit: whatever becomes of its processes, what was acknowledged is there, the same open files."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.tortured import connect, repeat
from tests.mount.waiting import wait_for
from tests.systemd.unit import Unit

MOUNT = "/run/kept"
SECONDS = 120
CLIENTS = 4


class Kept:
    """The unit of an instance, and copies of what was stashed there."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.copies: dict[str, int] = {}

    @property
    def status(self) -> fdstorefs.Status:
        """What the instance says of itself, as soon as somebody serves."""
        with connect(MOUNT) as store:
            found: fdstorefs.Status = repeat(store, lambda store: store.status())
            return found

    @property
    def stored(self) -> int:
        """How many descriptors systemd has."""
        return int(self.unit.says("NFileDescriptorStore"))

    def stash(self, store: fdstorefs.Store, name: str) -> None:
        """Have one more."""
        copy = os.memfd_create(name)
        store.stash(name, copy)
        self.copies[name] = copy

    def fill(self, count: int) -> None:
        """Have some."""
        with connect(MOUNT) as store:
            for number in range(count):
                self.stash(store, f"first-{number}")

    def lost(self) -> list[str]:
        """What was acknowledged, and isn't there or is another open file; of the others, what can't be had."""
        with connect(MOUNT) as store:
            names = {entry.name for entry in repeat(store, lambda store: store.list())}
            wrong = []
            for name in sorted(names | set(self.copies)):
                try:
                    with store.retrieve(name) as found:
                        same = same_file_order(found.fileno(), self.copies.get(name, found.fileno()))
                except fdstorefs.StoreError as error:
                    wrong.append(f"{name}: {error}")
                else:
                    if same != SAME_FILE:
                        wrong.append(f"{name} is another open file")
        return wrong

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Clients stash meanwhile, and never rest."""
        ends = threading.Event()
        clients = [threading.Thread(target=self._work, args=(ends, str(number))) for number in range(CLIENTS)]
        before = len(self.copies)
        for client in clients:
            client.start()
        try:
            wait_for(lambda: len(self.copies) > before + 20, SECONDS, "the clients to be at work")
            yield
            now = len(self.copies)
            wait_for(lambda: len(self.copies) > now + 20, SECONDS, "the clients to be at work again")
        finally:
            ends.set()
            for client in clients:
                client.join()

    def _work(self, ends: threading.Event, name: str) -> None:
        while not ends.is_set():
            try:
                with connect(MOUNT) as store:
                    while not ends.is_set():
                        self.stash(store, f"{name}-{len(self.copies)}")
            except OSError:
                continue  # nobody says whether it was done

    def wait_for_another(self, pid: int) -> None:
        """Until the unit has another main process than this, and is ready."""
        wait_for(lambda: self.unit.pid not in (0, pid), SECONDS, "another process")
        self.unit.wait_for("active")


@pytest.fixture(scope="session")
def unit(installed: None) -> Unit:
    """That of an instance that does without the kernel's help, whose enforcer may be there or not."""
    found = Unit("fdstorefs@run-kept.service")
    # It is wanted, as an enabled one is by multi-user.target, which is not there in the machine: systemd forgets a
    # stopped unit that nobody wants.
    wants = Path("/etc/systemd/system/kept.target")
    wants.write_text(f"[Unit]\nWants={found.name}\n")
    found.add('[Service]\nEnvironment="FDSTOREFS_OPTIONS=--enforcement daemon"\nTimeoutStartSec=600\n')
    Unit(wants.name).start()
    return found


@pytest.fixture
def kept(unit: Unit) -> Iterator[Kept]:
    """One that runs, and nothing of which is left afterwards."""
    unit.start()
    found = Kept(unit)
    try:
        yield found
    finally:
        subprocess.run(["fdstorefs", "umount", MOUNT], capture_output=True, check=False)
        unit.systemctl("stop")
        for copy in found.copies.values():
            os.close(copy)


def test_killed_all_at_once(kept: Kept) -> None:
    """Keeper, server and spare, while clients work: three times."""
    for number in range(3):
        before = kept.unit.pid
        with kept.busy():
            kept.unit.systemctl("kill", "--signal", "KILL", "--kill-whom", "all")
            kept.wait_for_another(before)

        assert [] == kept.lost()
        assert number + 1 == kept.status.restarts
    assert len(kept.copies) > 100


def test_restarted(kept: Kept) -> None:
    """`systemctl restart`, while clients work."""
    with kept.busy():
        kept.unit.systemctl("restart")

    assert [] == kept.lost()
    assert 1 == kept.status.restarts


def test_stopped_and_started(kept: Kept) -> None:
    """What systemd preserves is there again; in between it is with systemd alone."""
    kept.fill(20)
    kept.unit.systemctl("stop")
    state, stored = kept.unit.says("ActiveState"), kept.stored
    kept.unit.start()

    assert ("inactive", 23) == (state, stored)
    assert [] == kept.lost()


def test_the_keeper_killed(kept: Kept) -> None:
    """The unit goes on: the server is the same, and its new keeper is the main process. Then all are killed."""
    kept.fill(20)
    before = kept.status
    assert kept.unit.pid == before.keeper
    os.kill(kept.unit.pid, signal.SIGKILL)
    wait_for(lambda: kept.unit.pid not in (0, before.keeper), SECONDS, "another main process")
    now = kept.status

    assert (before.pid, "active") == (now.pid, kept.unit.says("ActiveState"))
    assert kept.unit.pid == now.keeper
    kept.unit.systemctl("kill", "--signal", "KILL", "--kill-whom", "all")
    kept.wait_for_another(now.keeper or 0)
    assert [] == kept.lost()


def test_systemd_has_what_the_instance_has(kept: Kept) -> None:
    """No more and no less, also after a server has died."""
    kept.fill(20)
    os.kill(kept.status.pid, signal.SIGKILL)
    with connect(MOUNT) as store:
        for name in list(kept.copies)[:10]:
            repeat(store, lambda store, name=name: store.discard(name))
            os.close(kept.copies.pop(name))
    wait_for(lambda: kept.stored == 13, SECONDS, "systemd to have closed it")

    assert (kept.status.systemd_store or {})["entries"] == 13
    assert [] == kept.lost()


def test_an_unmount_is_the_end(kept: Kept) -> None:
    """It is not started again, and systemd keeps nothing."""
    kept.fill(5)
    subprocess.run(["fdstorefs", "umount", MOUNT], check=True)
    kept.unit.wait_for("inactive")

    assert (0, "success") == (kept.stored, kept.unit.says("Result"))
    assert not Path(MOUNT, ".fdstore").exists()
