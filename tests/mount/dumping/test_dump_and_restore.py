"""`fdstorefs dump` and `restore` of two processes, and `transfer` of one: everything, as it was, or nothing."""

import json
import os
import socket
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.cast import ORDINARY_USER, Cast, own
from tests.mount.dumping.conftest import Begin, Run, Start, finish
from tests.mount.dumping.filling import are_the_same, fill, fill_with, picture
from tests.mount.instance import Instance
from tests.mount.policies import arguments, write
from tests.mount.test_mounting import needs_root
from tests.mount.waiting import wait_for

MANY = 1500


def pictures(source: Instance, goal: Instance, box: str = "") -> list[object]:
    """What is in both."""
    with fdstorefs.connect(source.mount) as one, fdstorefs.connect(goal.mount) as other:
        return [picture(one), picture(other, box)]


def names(instance: Instance) -> list[str]:
    """What is in the root of one."""
    return sorted(set(os.listdir(instance.mount)) - {".fdstore"})


def is_there(path: str) -> bool:
    """Whether somebody listens."""
    return Path(path).is_socket()


@pytest.mark.parametrize("listens", ["dump", "restore"])
def test_what_is_dumped_is_restored(
    source: Instance, goal: Instance, begin: Begin, run: Run, cast: Cast, listens: str
) -> None:
    """Whichever side listens; both end with 0, and know of each other."""
    files = fill(source.mount)
    path = f"{cast.home(None)}/meet"
    sides = {"dump": ("--to", source), "restore": ("--from", goal)}
    other = "restore" if listens == "dump" else "dump"
    waiting = begin(listens, "--listen", path, "--json", at=sides[listens][1])
    wait_for(lambda: is_there(path), 20, "somebody to listen")
    came = run(other, sides[other][0], path, "--json", at=sides[other][1])
    told = [json.loads(each.stdout) for each in (finish(waiting), came)]

    assert [(6, 3, 4)] * 2 == [(each["entries"], each["boxes"], each["files"]) for each in told]
    assert [0, 0] == [each["peer"]["uid"] - os.geteuid() for each in told]
    assert not is_there(path)
    one, two = pictures(source, goal)
    assert one == two
    assert [True] * len(files) == are_the_same(goal.mount, files)


def test_an_inherited_socket_will_do(source: Instance, goal: Instance, begin: Begin) -> None:
    """With nobody listening anywhere."""
    fill(source.mount)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        numbers = [each.fileno() for each in (ours, theirs)]
        restore = begin("restore", "--fd", str(numbers[1]), at=goal, pass_fds=numbers[1:])
        dump = begin("dump", "--fd", str(numbers[0]), at=source, pass_fds=numbers[:1])
    said = [finish(each).stdout for each in (dump, restore)]

    assert "6 entries with 4 open files, 3 boxes" in said[0]
    assert "6 entries with 4 open files, 3 boxes" in said[1]


def test_what_is_in_the_way_is_told_to_both(source: Instance, goal: Instance, begin: Begin) -> None:
    """Nothing is restored, and the side that dumps knows why."""
    fill(source.mount)
    with fdstorefs.connect(goal.mount) as store, open(os.devnull) as null:
        store.stash("c", null)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        numbers = [each.fileno() for each in (ours, theirs)]
        restore = begin("restore", "--fd", str(numbers[1]), at=goal, pass_fds=numbers[1:])
        dump = begin("dump", "--fd", str(numbers[0]), at=source, pass_fds=numbers[:1])
    refused, told = finish(restore, 1), finish(dump, 1)

    assert "`c` exists" in refused.stderr
    assert "the other side: `c` exists" in told.stderr
    assert ["c"] == names(goal)


def test_what_may_not_be_had_is_told_to_both(
    running_instance: Start, goal: Instance, begin: Begin, cast: Cast
) -> None:
    """One that is denied denies all; left out it is only if somebody says so."""
    policy = (
        "version: 1\nname: some\nrules:\n"
        "  - {id: all, effect: allow, actions: [stash, retrieve, list, describe, discard], entries: ['**']}\n"
        "  - {id: not-this, effect: forbid, actions: [retrieve], entries: [secret]}\n"
    )
    source = running_instance(arguments=arguments(write(f"{cast.home(None)}/policy.yaml", policy)))
    with fdstorefs.connect(source.mount) as store, open(os.devnull) as null, open(os.devnull) as secret:
        store.stash_many({"open": null, "secret": secret})

    def hand_over(*more: str, expect: int) -> list[str]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            numbers = [each.fileno() for each in (ours, theirs)]
            restore = begin("restore", "--fd", str(numbers[1]), at=goal, pass_fds=numbers[1:])
            dump = begin("dump", "--fd", str(numbers[0]), *more, at=source, pass_fds=numbers[:1])
        return [finish(each, expect).stderr for each in (dump, restore)]

    denied = hand_over(expect=3)
    there = names(goal)
    left_out = hand_over("--leave-out", expect=0)

    assert [True, True] == ["may not retrieve `secret`" in each for each in denied]
    assert ([], ["open"]) == (there, names(goal))
    assert "left out: `secret`" in left_out[0]


@needs_root
def test_a_stranger_is_turned_away(goal: Instance, begin: Begin, cast: Cast) -> None:
    """And whoever may comes after him. With `--peer` he may."""
    path = f"{cast.home(ORDINARY_USER)}/meet"
    waiting = begin("restore", "--listen", path, at=goal)
    wait_for(lambda: is_there(path), 20, "somebody to listen")
    own(path, ORDINARY_USER)
    with socket.socket(socket.AF_UNIX) as stranger:
        os.seteuid(1)
        try:
            stranger.connect(path)
        finally:
            os.seteuid(0)
        assert b"" == stranger.recv(1)
    waiting.kill()

    assert is_there(path)


def test_transfer_takes_no_second_process(source: Instance, goal: Instance, run: Run) -> None:
    """Into a box, too."""
    files = fill(source.mount)
    os.mkdir(f"{goal.mount}/into")
    done = run("transfer", source.mount, goal.mount, "--into", "into")
    one, two = pictures(source, goal, "into/")
    two.pop("into", None)  # type: ignore[attr-defined]

    assert "transferred: 6 entries with 4 open files, 3 boxes\n" == done.stdout
    assert one == two
    assert [True] * len(files) == are_the_same(goal.mount, files, "into/")


def test_moving_leaves_nothing(source: Instance, goal: Instance, run: Run) -> None:
    """But what was not asked for."""
    fill(source.mount)
    with fdstorefs.connect(source.mount) as store:
        store.unseal("web/deep")
    done = run("transfer", "--move", source.mount, goal.mount, "web", "--json")

    assert [] == json.loads(done.stdout)["kept"]
    assert ["alone", "also-a", "b-too", "c", "empty", "pipe"] == names(source)
    assert ["web"] == names(goal)


def test_nothing_matches_is_said(source: Instance, goal: Instance, run: Run) -> None:
    """It is not an error: nothing is what there was."""
    assert "nothing matches `none`" in run("transfer", source.mount, goal.mount, "none").stderr


def test_restored_again_with_replace(source: Instance, goal: Instance, run: Run) -> None:
    """Names are taken from the entries that have them; without it that is an error."""
    files = fill(source.mount)
    with fdstorefs.connect(source.mount) as store:
        store.unseal("web/deep")
    run("transfer", source.mount, goal.mount)
    refused = run("transfer", source.mount, goal.mount, expect=1)
    run("transfer", "--replace", source.mount, goal.mount)
    one, two = pictures(source, goal)

    assert "exists" in refused.stderr
    assert one == two
    assert [True] * len(files) == are_the_same(goal.mount, files)


def test_thousands_at_once(source: Instance, goal: Instance, run: Run) -> None:
    """More than one message carries, and more than a process is usually let have."""
    fill_with(source.mount, MANY)
    run("transfer", source.mount, goal.mount)
    one, two = pictures(source, goal)

    assert one == two
    assert MANY + 1 == len(two)  # type: ignore[arg-type]


@needs_root
def test_from_outside_into_a_user_namespace(running_instance: Start) -> None:
    """Whoever is in it reaches both mounts: ids are those of the user namespace of each."""
    outside = running_instance(user=ORDINARY_USER)
    inside = running_instance(user=ORDINARY_USER, namespace=True)
    stash = ["sh", "-c", 'exec 5</etc/hostname; echo 5 >"$0/host"; ln "$0/host" "$0/again"', outside.mount]
    assert inside.run(stash).returncode == 0
    command = ["python3", "-m", "fdstorefs"]
    done = inside.run([*command, "transfer", outside.mount, inside.mount])
    shown = inside.run([*command, "--at", inside.mount, "exec", "--stdin", "host", "--", "cat"])
    same = inside.run(["stat", "-c", "%i %u", f"{inside.mount}/host", f"{inside.mount}/again"])

    assert (0, "") == (done.returncode, done.stderr)
    assert Path("/etc/hostname").read_text() == shown.stdout
    assert 1 == len(set(same.stdout.splitlines()))


def test_it_is_on_record(running_instance: Start, run: Run, cast: Cast) -> None:
    """Each entry that goes out is a retrieve, and each name that comes in is a stash."""
    logs = [f"{cast.home(None)}/{name}.log" for name in ("source", "goal")]
    source, goal = (running_instance(arguments=["--audit", f"file:{log}"]) for log in logs)
    fill(source.mount)
    run("transfer", source.mount, goal.mount)
    records = [[json.loads(line) for line in Path(log).read_text().splitlines()] for log in logs]
    retrieved, stashed = (
        sorted(each["entry"]["name"] for each in some if each.get("action") == action)
        for some, action in zip(records, ("retrieve", "stash"), strict=True)
    )

    assert ["b-too", "c", "empty", "pipe", "web/a", "web/deep/b"] == retrieved
    assert 10 == len(stashed)
