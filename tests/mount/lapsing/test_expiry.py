"""Entries that expire in a running instance: they go, it is told and on record, and a dead server holds nothing up."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.lapsing.conftest import Scene
from tests.mount.tortured import connect
from tests.mount.waiting import wait_for
from tests.unit.audit.schema_check import faults

EXPIRES = "user.fdstorefs.expires"


def command(scene: Scene, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command line on the instance."""
    return scene.instance.run([sys.executable, "-m", "fdstorefs", "--at", scene.mount, *arguments])


def test_it_goes_under_all_its_names(scene: Scene) -> None:
    """Watchers are told of each, the audit log too, with who stashed it."""
    with scene.store.watch() as watch, open("/dev/null") as file:
        scene.store.stash("a", file, expires=0.3)
        scene.store.link("a", "b")
        scene.store.stash("stays", file)
        scene.until_gone("a", "b")
        told = [next(watch) for _ in range(5)]
    records = scene.records("expired", 2)

    assert [("expired", "a"), ("expired", "b")] == [(each.change, each.entry.name) for each in told[3:]]
    assert [("a", os.getpid()), ("b", os.getpid())] == [
        (record["entry"]["name"], record["entry"]["stasher"]["pid"]) for record in records
    ]
    assert [[]] * 2 == [faults(record) for record in records]
    assert ["stays"] == scene.names()


def test_many_go_at_once(scene: Scene) -> None:
    """More than one turn of the loop takes; nothing is left of them but what they shared with one that stays."""
    with open("/dev/null") as file:
        for lot in range(4):
            scene.store.stash_many({f"{lot}.{number}": file for number in range(15)}, expires=0.5)
    memfds = [os.memfd_create(f"{number}") for number in range(200)]
    scene.store.stash_many({f"m{number}": fd for number, fd in enumerate(memfds)}, expires=0.5)
    wait_for(lambda: not scene.names(), what="nobody to be shown any of them")
    # What is overdue is shown to nobody, and goes a few at a time.
    wait_for(lambda: not scene.store.status().entries, what="all to go")

    assert ([], 0) == (scene.names(), scene.store.status().descriptors)
    assert 260 == len(scene.records("expired", 260))
    for fd in memfds:
        os.close(fd)


def test_it_is_seen_when_it_goes(scene: Scene) -> None:
    """In `ls -l`, `ls --json`, `stat`, List and Describe, and as an attribute."""
    done = command(scene, "put", "web", "--listen", "tcp:127.0.0.1:0", "--expires", "1h30m", "--no-poll")
    assert "" == done.stderr
    (listed,) = json.loads(command(scene, "ls", "--json").stdout)
    described = scene.store.describe("web").entry
    attribute = os.getxattr(f"{scene.mount}/web", EXPIRES).decode()

    assert 5400 == pytest.approx((listed["expires"] - listed["created"]) / 1e9, abs=1)
    assert (listed["expires"], listed["poll"]) == (described.expires, described.poll)
    assert f"@{described.expires / 1e9:.3f}"[:14] == attribute[:14]
    assert "expires 20" in command(scene, "ls", "-l").stdout
    assert "not polled" in command(scene, "ls", "-l").stdout
    assert "expires" in command(scene, "stat", "web").stdout
    assert "stays" in command(scene, "stat", "web").stdout


def test_the_attribute_sets_it_puts_it_off_and_takes_it_away(scene: Scene) -> None:
    """By a duration, or by what was read; what makes no sense changes nothing."""
    with open("/dev/null") as file:
        scene.store.stash_many({"a": file, "b": file, "c": file}, expires=3600)
    a, b, c = (f"{scene.mount}/{name}" for name in "abc")
    before = os.getxattr(a, EXPIRES)
    os.setxattr(a, EXPIRES, b"2h")
    later = os.getxattr(a, EXPIRES)
    os.setxattr(a, EXPIRES, before)
    again = os.getxattr(a, EXPIRES)
    os.removexattr(b, EXPIRES)
    for wrong in (b"soon", b"-1s", b"@x", b"\xff", b""):
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            os.setxattr(a, EXPIRES, wrong)
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        os.getxattr(b, EXPIRES)
    os.setxattr(c, EXPIRES, b"@1.5")
    scene.until_gone("c")

    assert float(later[1:]) - float(before[1:]) > 3000
    assert float(before[1:]) == pytest.approx(float(again[1:]), abs=0.1)
    assert ["a", "b"] == scene.names()


def test_a_sealed_box_keeps_it_until_it_is_unsealed(scene: Scene) -> None:
    """A dead server changes nothing about that; then it is gone before unsealing has returned."""
    scene.store.make_box("box")
    with open("/dev/null") as file:
        scene.store.stash_many({"box/a": file, "out": file}, expires=0.2)
        scene.store.link("box/a", "link")
    scene.store.seal("box")
    scene.until_gone("out", "link")
    before = scene.names()
    restart(scene)
    after = scene.names()
    scene.store.unseal("box")

    assert [["box", "box/a"]] * 2 == [before, after]
    assert ["box"] == scene.names()


@pytest.mark.parametrize("restarted", [False, True])
def test_very_many_that_are_overdue_are_gone_for_everybody_at_once(scene: Scene, restarted: bool) -> None:
    """Though not all of them can go in one moment: the oldest go first, and a name is free when somebody wants it."""
    scene.store.make_box("box")
    with open("/dev/null") as null:
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        for lot in range(4):
            names = {f"box/{lot}.{number:03}": files[number % 20] for number in range(200)}
            scene.store.stash_many(names, expires=1.5)
        scene.store.seal("box")
        time_is_up(scene, "box/3.199")
        if restarted:
            restart(scene)
        scene.store.unseal("box")
        listed, seen = scene.names(), os.listdir(f"{scene.mount}/box")
        scene.store.stash("box/3.199", null)
        names = scene.names()
    records = scene.records("expired", 800)
    lots = [record["entry"]["name"].removeprefix("box/").split(".")[0] for record in records]
    wanted_early = [record["entry"]["name"] for record in records].index("box/3.199")

    assert (["box"], []) == (listed, seen)
    assert ["box", "box/3.199"] == names
    assert sorted(lots) == [lot for place, lot in enumerate(lots) if place != wanted_early] + ["3"]
    wait_for(lambda: scene.store.status().entries == 2)
    for fd in files:
        os.close(fd)


def time_is_up(scene: Scene, name: str) -> None:
    """Wait until an entry, which a seal keeps, ought to be gone."""
    expires = scene.store.describe(name).entry.expires
    assert expires is not None
    wait_for(lambda: time.time_ns() > expires)


def test_it_survives_the_server_and_goes_in_time(scene: Scene) -> None:
    """What expires is remembered, and what has expired meanwhile goes at once."""
    with open("/dev/null") as file:
        scene.store.stash_many({"later": file}, expires=3600)
        scene.store.stash_many({"soon": file}, expires=0.5, poll=False)
    before = scene.store.describe("later").entry
    os.kill(scene.instance.process.pid, signal.SIGSTOP)
    try:
        os.kill(scene.store.status().pid, signal.SIGKILL)
        expired = time.clock_gettime(time.CLOCK_BOOTTIME) + 0.5
        wait_for(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > expired)
    finally:
        os.kill(scene.instance.process.pid, signal.SIGCONT)
    scene.store.close()
    scene.store = connect(scene.mount)
    after = scene.store.describe("later").entry

    assert ["later"] == scene.names()
    assert before.expires == pytest.approx(after.expires, abs=1e7)
    assert "soon" == scene.records("expired", 1)[0]["entry"]["name"]


def test_nothing_happens_while_nothing_is_due(scene: Scene) -> None:
    """However many expire one day, or could hang up, nobody wakes the server for it."""
    pipes = [os.pipe() for _ in range(50)]
    scene.store.stash_many({f"p{number}": reader for number, (reader, _) in enumerate(pipes)}, expires=3600)
    status = Path(f"/proc/{scene.store.status().pid}/status")

    def switches() -> list[str]:
        return [line for line in status.read_text().splitlines() if "ctxt_switches" in line]

    before = wait_for(lambda: (found := switches()) == (time.sleep(0.2) or switches()) and found)
    for reader, writer in pipes:
        os.write(writer, b"data is no hang-up")
        os.read(reader, 5)

    assert before == (time.sleep(0.2) or switches())
    assert 50 == len(scene.names())
    for pair in pipes:
        for end in pair:
            os.close(end)


def test_a_command_line_that_makes_no_sense(scene: Scene) -> None:
    """Wrong usage, and why."""
    done = command(scene, "put", "x", "--expires", "soon")

    assert 2 == done.returncode
    assert "`soon` is no duration" in done.stderr
    with open("/dev/null") as file, pytest.raises(fdstorefs.InvalidArgument):
        scene.store.stash("x", file, expires=0)


def restart(scene: Scene, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Kill the server, do something, and have the connection to the next one."""
    pid = scene.store.status().pid
    scene.store.close()
    os.kill(pid, signal.SIGKILL)
    meanwhile()
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or scene.instance.pid != pid)
    scene.store = connect(scene.mount)
