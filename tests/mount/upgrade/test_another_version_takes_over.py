"""An upgrade from one version of the program to another, which writes another format of the journal."""

import json
import os
import signal
import threading
from pathlib import Path

import fdstorefs
from tests.mount.tortured import connect, repeat
from tests.mount.upgrade.programs import FORMAT, SECONDS, Installed, facts, is_same
from tests.mount.waiting import wait_for


def test_everything_is_as_it_was(installed: Installed) -> None:
    """Entries through both doors, boxes, links, modes, seals, labels and empty entries, and the same open files."""
    store, mount = installed.start(), installed.mount
    files = [os.memfd_create(f"{number}") for number in range(2)]
    store.stash_many({"a": files[0], "b": files[0]}, label="twins", expires=3600)
    os.mkdir(f"{mount}/box", 0o750)
    Path(f"{mount}/box/c").write_text(f"{files[1]}\n")
    os.link(f"{mount}/box/c", f"{mount}/box/d")
    os.close(os.open(f"{mount}/empty", os.O_CREAT | os.O_WRONLY))
    store.seal("box")
    before, keeper = facts(store), store.status().keeper
    installed.install("2.0", FORMAT)
    done = installed.upgrade("--json")
    told = json.loads(done.stdout)

    assert ("1.0", "2.0", len(before) - 1) == (told["former_version"], told["version"], told["entries"])
    assert before == facts(store)
    store.unseal("box")
    assert [True] * 4 == [
        is_same(store, *each)
        for each in (("a", files[0]), ("b", files[0]), ("box/c", files[1]), ("box/d", files[1]))
    ]
    status = store.status()
    assert ("2.0", told["pid"], keeper, 0) == (status.version, status.pid, status.keeper, status.restarts)


def test_the_journal_is_written_anew(installed: Installed) -> None:
    """In the new version's format, when there is time for it; a server that dies before that loses nothing."""
    store = installed.start()
    store.stash("a", 0)
    before = installed.journal()
    installed.install("2.0", FORMAT)
    store.upgrade()

    assert (2, "1.0") == (before.major, before.writer)
    wait_for(lambda: installed.journal().major == 3, SECONDS, "another format")
    assert "2.0" == installed.journal().writer


def test_whoever_is_killed_is_followed_by_the_new_program(installed: Installed) -> None:
    """The keeper has executed it, with the pid that it had, and so what it forks is the new program's server."""
    store = installed.start()
    descriptor = os.memfd_create("a")
    store.stash("a", descriptor)
    installed.install("2.0", FORMAT)
    pid, keeper = store.upgrade().pid, store.status().keeper
    os.kill(pid, signal.SIGKILL)
    again = wait_for(lambda: other_server(installed.mount, pid), SECONDS, "another server")
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: other_keeper(installed.mount, keeper), SECONDS, "another keeper")
    os.kill(again.pid, signal.SIGKILL)
    last = wait_for(lambda: other_server(installed.mount, again.pid), SECONDS, "another server")

    assert ("2.0", keeper, 1) == (again.version, again.keeper, again.restarts)
    assert ("2.0", 2) == (last.version, last.restarts)
    with connect(installed.mount) as anew:
        assert is_same(anew, "a", descriptor)


def other_server(mount: str, former: int) -> fdstorefs.Status | None:
    """The server, if it is another one."""
    with connect(mount) as store:
        status: fdstorefs.Status = repeat(store, lambda store: store.status())
    return status if status.pid != former else None


def other_keeper(mount: str, former: int) -> fdstorefs.Status | None:
    """Likewise."""
    with connect(mount) as store:
        status: fdstorefs.Status = repeat(store, lambda store: store.status())
    return status if status.keeper != former else None


def test_connections_handles_and_watches_go_on(installed: Installed) -> None:
    """Who has something open, waits for something, or watches, notices nothing."""
    store = installed.start()
    reading, writing = os.pipe()
    store.stash("pipe", reading, poll=False)
    handle = os.open(f"{installed.mount}/pipe", os.O_RDONLY)
    got: list[bytes] = []
    waiting = threading.Thread(target=lambda: got.append(os.read(handle, 100)))
    waiting.start()
    changes = fdstorefs.connect(installed.mount).watch("a*")
    installed.install("2.0", FORMAT)
    with fdstorefs.connect(installed.mount) as another:
        another.upgrade()
    store.stash("a1", 0)
    os.write(writing, b"late")
    waiting.join(SECONDS)

    assert [b"late"] == got
    assert "stashed" == next(iter(changes)).change
    os.close(handle)


def test_a_second_upgrade_is_like_the_first(installed: Installed) -> None:
    """The new program upgrades, too."""
    store = installed.start()
    descriptor = os.memfd_create("a")
    store.stash("a", descriptor)
    versions = []
    for version in ("2.0", "3.0", "4.0"):
        installed.install(version)
        versions.append((store.upgrade().version, store.status().version))

    assert [("2.0", "2.0"), ("3.0", "3.0"), ("4.0", "4.0")] == versions
    assert is_same(store, "a", descriptor)


def test_only_what_serves_is_left(installed: Installed) -> None:
    """Keeper, server, and the keeper's spare; the former server and the former spare have ended."""
    store = installed.start()
    installed.install("2.0")
    upgraded, keeper = store.upgrade(), store.status().keeper

    def children() -> list[str]:
        return Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()

    wait_for(lambda: len(children()) == 2, SECONDS, "two children")
    assert str(upgraded.pid) in children()
    assert not Path(f"/proc/{upgraded.former_pid}").exists()


def test_sighup_upgrades(installed: Installed) -> None:
    """The keeper is the process that everybody knows, so it is the one that is told."""
    store = installed.start()
    descriptor = os.memfd_create("a")
    store.stash("a", descriptor)
    keeper = store.status().keeper
    installed.install("2.0", FORMAT)
    assert keeper is not None
    os.kill(keeper, signal.SIGHUP)

    wait_for(lambda: store.status().version == "2.0", SECONDS, "version 2.0")
    assert keeper == store.status().keeper
    assert is_same(store, "a", descriptor)


def test_it_is_on_record(installed: Installed) -> None:
    """In the same run, with numbers that go on, and no record is lost."""
    audit = installed.directory / "audit"
    store = installed.start("--audit", f"file:{audit}")
    store.stash("a", 0)
    installed.install("2.0")
    store.upgrade()
    store.stash("b", 0)
    wait_for(lambda: '"name":"b"' in audit.read_text(), SECONDS, "the record of b")
    records = [json.loads(line) for line in audit.read_text().splitlines()]
    upgrade = next(record for record in records if record["type"] == "upgrade")

    assert list(range(1, len(records) + 1)) == [record["seq"] for record in records]
    assert 1 == len({record["run"] for record in records})
    assert ("1.0", "2.0", 1, None) == (
        upgrade["former"],
        upgrade["version"],
        upgrade["entries"],
        upgrade.get("first_seq"),
    )


def test_what_expires_does_so_in_its_time(installed: Installed) -> None:
    """And who hangs up is noticed, whichever server it was that took the file in."""
    store = installed.start()
    reading, writing = os.pipe()
    store.stash("hung-up", reading)
    store.stash("short", 0, expires=1)
    installed.install("2.0")
    store.upgrade()
    os.close(reading)
    os.close(writing)

    wait_for(lambda: not store.list(), SECONDS, "both to go")
