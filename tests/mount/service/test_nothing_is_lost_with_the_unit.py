"""With systemd: what was acknowledged is there again, whatever becomes of all of our processes."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.keeper.test_kill_9 import another, is_same, kill, stash_in_a_child
from tests.mount.service.systemd_stand_in import Make, Manager
from tests.mount.test_mounting import needs_root
from tests.mount.waiting import wait_for
from tests.unit.host.hostile_fuse import hostile_mount


def fill(mount: str) -> list[int]:
    """Stash some; returns our copies."""
    files = [os.memfd_create(f"{number}") for number in range(3)]
    with fdstorefs.connect(mount) as store:
        store.stash_many({"a": files[0], "b": files[0]}, label="twins")
        os.mkdir(f"{mount}/box", 0o750)
        Path(f"{mount}/box/c").write_text(f"{files[1]}\n")
        os.close(os.open(f"{mount}/empty", os.O_CREAT | os.O_WRONLY))
        store.stash("gone", files[2])
        store.discard("gone")
    return files[:2]


def listed(mount: str) -> list[object]:
    """All that an instance says of its entries."""
    with fdstorefs.connect(mount) as store:
        return [entry._asdict() for entry in store.list()]


@pytest.mark.parametrize("how", ["killed", "stopped", "killed twice"])
def test_it_is_there_again(manager: Manager, mount: str, how: str) -> None:
    """Entries, boxes and open files, after all were killed at once, and after an end in order."""
    manager.start(mount)
    files = fill(mount)
    before = listed(mount)
    for _ in range(2 if how == "killed twice" else 1):
        if how == "stopped":
            assert 0 == manager.stop()
        else:
            manager.kill()
        manager.start(mount)
    with fdstorefs.connect(mount) as store:
        status = store.status()

    assert before == listed(mount)
    assert [True] * 3 == [
        is_same(mount, *each) for each in (("a", files[0]), ("b", files[0]), ("box/c", files[1]))
    ]
    assert (2 if how == "killed twice" else 1, 2) == (status.restarts, status.descriptors)
    assert status.outage is not None
    assert 0 < status.outage < 60e9


def test_what_is_acknowledged_is_there_already(manager: Manager, mount: str) -> None:
    """Not on its way: no message of a process that is dead by then is needed."""
    manager.start(mount)
    with fdstorefs.connect(mount) as store:
        file = os.memfd_create("x")
        store.stash("x", file)
        manager.pause()
        manager.kill()
    manager.go_on()
    manager.settle()

    assert manager.has(file)
    manager.start(mount)
    assert is_same(mount, "x", file)


def test_what_is_discarded_goes_from_there(manager: Manager, mount: str) -> None:
    """So that it is closed."""
    manager.start(mount)
    reader, writer = os.pipe()
    with fdstorefs.connect(mount) as store:
        store.stash("pipe", writer)
        os.close(writer)
        store.discard("pipe")

    assert b"" == os.read(reader, 1)
    assert 3 == len(manager.stored)  # the record, the journal, the counters


def test_a_server_that_dies_leaves_nothing_there(manager: Manager, mount: str) -> None:
    """What it has not lived to remove is removed by the next one, before anybody is served."""
    manager.start(mount)
    reader, writer = os.pipe()
    with fdstorefs.connect(mount) as store:
        store.stash("pipe", writer)
        os.close(writer)
        manager.pause()
        store.discard("pipe")
        server = store.status().pid
        os.kill(server, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{server}").exists(), 10, "the server to be dead")
    manager.go_on()

    assert b"" == os.read(reader, 1)
    assert manager.dead_senders > 0


def test_a_systemd_that_is_stuck_refuses_and_loses_nothing(manager: Manager, mount: str) -> None:
    """What it does not take up in time is not stashed, and is not kept when it goes on."""
    manager.start(mount)
    late, soon, again = (os.memfd_create(name) for name in ("late", "soon", "again"))
    with fdstorefs.connect(mount) as store:
        manager.pause()
        for file in (late, soon):
            with pytest.raises(fdstorefs.Overloaded, match="systemd"):
                store.stash("x", file)
        manager.go_on()
        manager.settle()
        store.stash("again", again)
        manager.settle()

        assert ["again"] == [entry.name for entry in store.list()]
        assert [False, False, True] == [manager.has(file) for file in (late, soon, again)]


def test_a_full_store_refuses(make_manager: Make, mount: str) -> None:
    """systemd would drop it without a word."""
    manager = make_manager(most=10)
    manager.start(mount)
    with fdstorefs.connect(mount) as store:
        with pytest.raises(fdstorefs.QuotaExceeded, match="systemd keeps 7 open files"):
            for number in range(20):
                store.stash(f"{number}", os.memfd_create("x"))
        names = [entry.name for entry in store.list()]
        store.discard("0")
        store.stash("another", os.memfd_create("x"))
        status = store.status().systemd_store

    assert [f"{number}" for number in range(6)] == sorted(names)
    assert {"entries": 9, "most": 10} == status


def test_an_unmount_is_the_end_for_good(manager: Manager, mount: str) -> None:
    """Nothing is left with systemd, and another start begins anew."""
    manager.start(mount)
    fill(mount)
    assert 0 == subprocess.run(["umount", mount], check=False).returncode
    assert manager.main is not None
    assert 0 == manager.main.wait(20)
    manager.settle()

    assert [] == manager.names
    manager.start(mount)
    assert [] == listed(mount)


def test_another_keeper_is_the_main_process(manager: Manager, mount: str) -> None:
    """The server says so, and nothing is lost if all are killed then."""
    main = manager.start(mount)
    files = fill(mount)
    keeper = kill(mount, "keeper").keeper
    manager.settle()

    assert main.pid != keeper
    assert f"MAINPID={keeper}" in manager.said
    before = listed(mount)
    kill(mount, "server")
    manager.kill()
    manager.start(mount)
    assert before == listed(mount)
    assert is_same(mount, "a", files[0])


def test_an_upgrade_goes_on_with_systemd(manager: Manager, mount: str) -> None:
    """The new server keeps there what it is given, lets go of what it no longer has, and the unit loses nothing."""
    manager.start(mount)
    files = fill(mount)
    later = os.memfd_create("later")
    with fdstorefs.connect(mount) as store:
        former = store.status().pid
        os.kill(manager.group, signal.SIGHUP)
        wait_for(lambda: another(mount, former), 60, "another server")
    with fdstorefs.connect(mount) as store:
        store.stash("later", later)
        store.discard("box/c")
        before = store.status().systemd_store
    wait_for(lambda: not manager.has(files[1]), 20, "systemd to have let go of it")

    assert {"entries": len(manager.stored), "most": 100} == before
    manager.kill()
    manager.start(mount)
    assert [True, True] == [is_same(mount, *each) for each in (("a", files[0]), ("later", later))]


def test_others_descriptors_stay_as_they_are(manager: Manager, mount: str) -> None:
    """A socket that systemd listens on for the unit, say."""
    manager.start(mount)
    fill(mount)
    manager.kill()
    reader, writer = os.pipe()
    manager.stored.append(("http", reader))
    number = 2 + len(manager.stored)
    main = manager.start(mount)

    assert "http" in manager.names
    assert os.readlink(f"/proc/self/fd/{writer}") == os.readlink(f"/proc/{main.pid}/fd/{number}")
    os.close(writer)


def test_a_journal_in_place_of_another(manager: Manager, mount: str) -> None:
    """When it has grown long: one is there, and it is the right one."""
    manager.start(mount)
    file = os.memfd_create("x")
    with fdstorefs.connect(mount) as store:
        first = [name for name in manager.names if "journal" in name]
        store.stash("x", file, label="l" * 200)
        wait_for(lambda: _grow(store) and first != _journals(manager), 60, "another journal")
        store.rename("x", "y")
    manager.kill()

    assert 1 == len(_journals(manager))
    manager.start(mount)
    assert is_same(mount, "y", file)


def _journals(manager: Manager) -> list[str]:
    return [name for name in manager.names if "journal" in name]


def _grow(store: fdstorefs.Store) -> bool:
    for _ in range(100):
        store.rename("x", "z" * 200)
        store.rename("z" * 200, "x")
    return True


def test_a_systemd_that_keeps_nothing_is_noticed(make_manager: Make, mount: str) -> None:
    """As with `NotifyAccess=main`: the instance does not begin, and says what to do."""
    manager = make_manager(obeys=False)
    main = manager.try_to_start(mount)

    assert 1 == main.wait(20)
    assert "NotifyAccess=all" in manager.log.read_text()


def test_an_older_systemd_has_to_be_spoken_for(manager: Manager, mount: str) -> None:
    """Before 254 it does not say how much it takes: `--systemd-store` does; without, nothing is kept there."""
    manager.start(mount, told=False)
    with fdstorefs.connect(mount) as store:
        assert store.status().systemd_store is None
    manager.stop()
    manager.start("--systemd-store", "50", mount, told=False)
    with fdstorefs.connect(mount) as store:
        assert {"entries": 3, "most": 50} == store.status().systemd_store


@needs_root
def test_systemd_gets_no_file_that_might_stop_it(manager: Manager, mount: str, tmp_path: Path) -> None:
    """It asks a file for its attributes, and a FUSE server that does not answer would hold it up for ever."""
    manager.start(mount)
    before = manager.names
    with hostile_mount(tmp_path / "hostile") as path:
        stash_in_a_child(mount, path)
        with fdstorefs.connect(mount) as store:
            found = [entry.name for entry in store.list()]
        manager.settle()

        assert (["x"], before) == (found, manager.names)


def test_a_life_of_another_version_is_left_alone(manager: Manager, mount: str) -> None:
    """The unit does not start, and systemd still has everything."""
    manager.start(mount)
    fill(mount)
    manager.kill()
    before = manager.names
    record = dict(manager.stored)["fdstorefs-record"]
    told = json.loads(os.pread(record, 4096, 0))
    os.pwrite(record, json.dumps(told | {"version": 99}).encode().ljust(4096), 0)
    main = manager.try_to_start(mount)

    assert 1 == main.wait(20)
    assert "another version" in manager.log.read_text()
    manager.settle()
    assert before == manager.names
