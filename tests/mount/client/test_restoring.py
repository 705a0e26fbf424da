"""`store.dump()`, `store.restore()` and `discard_unchanged`; and a server that ends in the moment that counts."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.client.dump import Lot
from fdstorefs.client.moving import Moving
from fdstorefs.client.restoration import Restoration, Restored
from tests.mount.client.scripted_instance import HANG_UP, Say, ScriptedInstance
from tests.mount.instance import Instance

pytestmark = pytest.mark.usefixtures("no_leak")

Start = Callable[..., Instance]

LOT: list[dict[str, object]] = [{"names": ["x"], "kind": "empty", "uid": 0, "gid": 0, "mode": 0o600}]
TAKEN, DONE = Say(b'{"parameters":{"ids":[77]}}'), Say(b'{"parameters":{"ids":[]}}')
NO_SUCH_ENTRY = Say(b'{"error":"io.fdstorefs.Store.NoSuchEntry","parameters":{"message":"no entry `x`"}}')
ENTRY = (
    b'{"parameters":{"entry":{"name":"x","kind":"empty","id":ID,"uid":0,"gid":0,"mode":384,"links":1,"created":0,'
    b'"changed":0,"sealed":false},"details":{}}}'
)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """An instance that plays a script: one argument for each connection."""
    playing: list[ScriptedInstance] = []

    def start(*connections: list[Say]) -> str:
        playing.append(ScriptedInstance(str(tmp_path), connections))
        return str(tmp_path)

    yield start
    for instance in playing:
        instance.close()


def restored(mount: str) -> Restored:
    """What comes of restoring one empty entry."""
    with Restoration(mount) as restoration:
        restoration.add(Lot(LOT, []))
        return restoration.commit()


def test_done_is_done(script: Callable[..., str]) -> None:
    """The reply says so."""
    assert Restored(1, 0, 0) == restored(script([TAKEN, DONE]))


@pytest.mark.parametrize("number", [b"77", b"78"])
def test_a_server_that_ends_in_the_last_moment_is_asked_what_it_did(
    script: Callable[..., str], number: bytes
) -> None:
    """The next one has the entry with the number that it was to have, or it has not."""
    mount = script([TAKEN, HANG_UP], [Say(ENTRY.replace(b"ID", number))])
    if number == b"77":
        assert Restored(1, 0, 0) == restored(mount)
        return
    with pytest.raises(fdstorefs.NoInstance, match="has restored nothing"):
        restored(mount)


def test_a_server_that_has_it_not_has_nothing(script: Callable[..., str]) -> None:
    """All or nothing: one tells for all."""
    with pytest.raises(fdstorefs.NoInstance, match="has restored nothing"):
        restored(script([TAKEN, HANG_UP], [NO_SUCH_ENTRY]))


def test_a_server_that_comes_back_late_is_awaited(script: Callable[..., str]) -> None:
    """It may end again before it answers."""
    mount = script([TAKEN, HANG_UP], [HANG_UP], [HANG_UP], [Say(ENTRY.replace(b"ID", b"77"))])

    assert Restored(1, 0, 0) == restored(mount)


def test_a_server_that_ends_earlier_has_restored_nothing(script: Callable[..., str]) -> None:
    """Nobody need be asked."""
    mount = script([HANG_UP])
    with Restoration(mount) as restoration, pytest.raises(fdstorefs.NoInstance, match="has restored nothing"):
        restoration.add(Lot(LOT, []))


def test_a_store_is_restored_from_anothers_dump(running_instance: Start) -> None:
    """In three lines."""
    with fdstorefs.connect(running_instance().mount) as a, fdstorefs.connect(running_instance().mount) as b:
        with open(os.devnull) as null:
            a.stash_many({"x": null, "y": null})
        with a.dump("x") as dump:
            counts: list[int] = []
            assert Restored(1, 0, 1) == b.restore(dump, progress=counts.append)

        assert (["x"], 1) == ([entry.name for entry in b.list()], counts[-1])


def test_a_dump_need_not_be_read_to_its_end(running_instance: Start) -> None:
    """Nothing is left open."""
    with fdstorefs.connect(running_instance().mount) as store:
        for lot in range(4):
            with open(os.devnull) as null:
                store.stash_many({f"{lot}-{number}": null for number in range(60)})
        with store.dump() as dump, next(dump) as first:
            assert first.nodes


def test_what_was_replaced_meanwhile_is_kept(running_instance: Start) -> None:
    """By identity: of the entry, and of its open file."""
    with fdstorefs.connect(running_instance().mount) as a, fdstorefs.connect(running_instance().mount) as b:
        files = [os.memfd_create(str(number)) for number in range(4)]
        a.stash_many({"same": files[0], "swapped": files[1], "renewed": files[2], "gone": files[3]})
        a.make_box("box")
        a.stash("box/new", files[0])
        with a.dump() as dump:
            moving = Moving(dump)
            b.restore(moving)
        a.stash("swapped", files[0], replace=True)
        a.discard("renewed", "gone")
        a.stash("renewed", files[2])
        a.rename("box/new", "box/other")
        moved = moving.discard(a)
        for each in files:
            os.close(each)

        assert (1, ["box", "box/new", "gone", "renewed", "swapped"], None) == (
            moved.discarded,
            sorted(moved.kept),
            moved.error,
        )
        assert ["box", "box/other", "renewed", "swapped"] == [entry.name for entry in a.list()]


def test_what_may_not_be_discarded_is_told(running_instance: Start) -> None:
    """And none of that lot is."""
    with fdstorefs.connect(running_instance().mount) as store:
        store.make_box("box")
        with open(os.devnull) as null:
            store.stash_many({"box/x": null, "y": null})
        entries = [(entry.name, entry.id, entry.file) for entry in store.list() if entry.kind != "box"]
        store.seal("box")
        with pytest.raises(fdstorefs.Busy):
            store.discard_unchanged(entries)

        assert ["box", "box/x", "y"] == [entry.name for entry in store.list()]
        store.unseal("box")
        assert [] == store.discard_unchanged(entries)
