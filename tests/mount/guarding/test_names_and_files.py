"""What the enforcer is told of the files that come, and of the names that they get."""

import json
import os

import pytest

import fdstorefs
from fdstorefs.errors import Denied, NotGuarded, TooManyNames
from tests.mount.guarding.fake_enforcer import OPENER, FakeEnforcer


def test_a_file_is_guarded_before_it_has_a_name(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """By its path, its inode number as the mount shows it, its label, and who stashed it."""
    number = store.stash("x", some_file, label="red")
    [file] = enforcer.of("Guard")[0]["files"]
    [name] = file["names"]

    assert ("x", os.stat(f"{store.mount}/x").st_ino, "red") == (name["path"], name["inode"], name["label"])
    assert number == name["inode"] & (1 << 48) - 1
    assert (os.geteuid(), os.getegid()) == (name["stasher"]["uid"], name["stasher"]["gid"])


def test_what_the_kernel_knows_is_told(store: fdstorefs.Store, some_file: int) -> None:
    """Who opened it and whether it is guarded, in Describe, in the attributes and in the status."""
    store.stash("x", some_file)
    entry = store.describe("x").entry
    assert entry.opener is not None

    assert (True, None, 1234, 8) == (
        entry.guarded,
        entry.unguarded,
        entry.opener.uid,
        entry.opener.capabilities,
    )
    assert {"uid": 1234, "gid": 1235, "capabilities": 8, "userns": [1]} == json.loads(
        os.getxattr(f"{store.mount}/x", "user.fdstorefs.opener")
    )
    assert "user.fdstorefs.opener" in os.listxattr(f"{store.mount}/x")
    assert (1, 0) == (store.status().guarded, store.status().unguarded)


def test_the_opener_is_on_record(store: fdstorefs.Store, some_file: int, directory: str) -> None:
    """With each verdict on the file."""
    store.stash("x", some_file)
    store.retrieve("x").close()
    with fdstorefs.connect(store.mount) as other, pytest.raises(fdstorefs.NoSuchEntry):
        other.retrieve("nothing")

    def openers() -> list[int]:
        with open(f"{directory}/audit", encoding="ascii") as log:
            records = [json.loads(line) for line in log]
        return [
            record["opener"]["uid"] for record in records if record.get("action") in ("stash", "retrieve")
        ]

    from tests.mount.waiting import wait_for

    wait_for(lambda: len(openers()) >= 2, 10, "both records")
    assert [OPENER["uid"]] * 2 == openers()


def test_what_is_not_the_instances_to_guard_is_stored_unguarded(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """And is delivered as far as the policy of the server says."""
    enforcer.why["x"] = "authority"
    store.stash("x", some_file)
    store.retrieve("x").close()
    entry = store.describe("x").entry

    assert (False, "authority") == (entry.guarded, entry.unguarded)
    assert (0, 1) == (store.status().guarded, store.status().unguarded)


def test_entries_of_unguarded_files_are_named_when_they_go(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """The enforcer could not find them by the file. What another file is in by then is not among them."""
    enforcer.why = {"a": "authority", "b": "authority"}
    store.stash_many({"a": some_file, "b": some_file})
    inodes = {name: os.stat(f"{store.mount}/{name}").st_ino for name in ("a", "b")}
    store.discard("a")
    other = os.memfd_create("other")
    enforcer.why = {}
    store.stash("b", other, replace=True)
    os.close(other)
    enforcer.await_call("Release", 2)

    assert [[inodes["a"]], []] == [call["inodes"] for call in enforcer.of("Release")]


def test_what_is_refused_beside_an_unguarded_one_names_the_entries(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """The enforcer has noted an entry for each, and nothing came of it."""
    other = os.memfd_create("other")
    enforcer.why = {"a": "authority", "b": "no-room"}
    with pytest.raises(NotGuarded):
        store.stash_many({"a": some_file, "b": other})
    os.close(other)
    enforcer.await_call("Release", 2)
    (number,) = [
        name["inode"]
        for call in enforcer.of("Guard")
        for file in call["files"]
        for name in file["names"]
        if name["path"] == "a"
    ]

    assert [number] == [inode for call in enforcer.of("Release") for inode in call["inodes"]]


@pytest.mark.parametrize(
    ("why", "error"),
    [("too-many-names", TooManyNames), ("too-many-instances", NotGuarded), ("no-room", NotGuarded)],
)
def test_what_cannot_be_guarded_is_not_stored(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int, why: str, error: type[OSError]
) -> None:
    """The client learns why, nothing is kept, and the kernel forgets the file: its owner may pass it on again."""
    enforcer.why["x"] = why
    with pytest.raises(error, match="x"):
        store.stash("x", some_file)
    enforcer.await_call("Release")

    assert ([], {}) == (store.list(), enforcer.names)
    assert 0 == store.status().descriptors


def test_several_are_stashed_whole_or_not_at_all(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """One that cannot be guarded takes the others back."""
    other = os.memfd_create("other")
    enforcer.why["b"] = "no-room"
    with pytest.raises(NotGuarded):
        store.stash_many({"a": some_file, "b": other})
    os.close(other)
    enforcer.await_call("Release", 2)

    assert ([], {}) == (store.list(), enforcer.names)


def test_a_second_stash_that_is_refused_leaves_the_first_guarded(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """It is the same open file: to release it would free the one that is stored."""
    store.stash("x", some_file)
    enforcer.why["y"] = "too-many-names"
    with pytest.raises(TooManyNames):
        store.stash("y", some_file)
    with pytest.raises(fdstorefs.EntryExists):
        store.stash("x", some_file)
    store.retrieve("x").close()

    assert ([["x"]], []) == (enforcer.paths, enforcer.of("Release"))


def test_what_no_call_wanted_is_released(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """The server has received it, so the kernel delivers it to nobody until it is told otherwise."""
    with pytest.raises(fdstorefs.NotABox):
        store.stash("x", some_file)
        other = os.memfd_create("other")
        store.stash("x/y", other)
    os.close(other)
    enforcer.await_call("Release")

    assert [["x"]] == enforcer.paths


def test_every_change_of_names_is_told(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """Links, renames, of boxes too, and names that go; with the last one the file is released."""
    told = []
    store.stash("x", some_file)
    store.make_box("box")
    for change in (
        lambda: store.link("x", "box/y"),
        lambda: store.rename("x", "z"),
        lambda: store.rename("box", "chest"),
        lambda: store.discard("z"),
        lambda: store.discard("chest/y"),
    ):
        change()
        if not store.list("**/y") and not store.list("z"):
            enforcer.await_call("Release")
        told.append(enforcer.paths)

    assert [[["box/y", "x"]], [["box/y", "z"]], [["chest/y", "z"]], [["chest/y"]], []] == told


def test_a_box_is_renamed_whole_or_not_at_all(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """One name in it that cannot be guarded, and the others are judged by their former names again."""
    other = os.memfd_create("other")
    store.make_box("box")
    store.stash_many({"box/a": some_file, "box/b": other})
    os.close(other)
    enforcer.why["chest/b"] = "too-many-names"
    with pytest.raises(TooManyNames):
        store.rename("box", "chest")

    assert [["box/a"], ["box/b"]] == enforcer.paths
    assert ["box", "box/a", "box/b"] == [entry.name for entry in store.list()]


def test_what_is_taken_is_free_once_it_has_arrived(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """Until then the kernel still judges who receives it."""
    store.stash("x", some_file)
    store.take("x").close()
    enforcer.await_call("Release")

    assert {} == enforcer.names


def test_what_is_stashed_by_its_number_is_guarded_as_well(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """Through the mount."""
    with open(f"{store.mount}/x", "w") as entry:
        entry.write(f"{some_file}\n")

    assert [["x"]] == enforcer.paths
    enforcer.why["y"] = "no-room"
    other = os.memfd_create("other")
    with pytest.raises(PermissionError), open(f"{store.mount}/y", "w") as entry:
        entry.write(f"{other}\n")
    os.close(other)
    enforcer.await_call("Release")
    assert [["x"]] == enforcer.paths


def test_a_label_that_cannot_be_guarded_is_not_given(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """The one that was there stays."""
    store.stash("x", some_file, label="red")
    enforcer.why["x"] = "too-many-names"
    with pytest.raises(OSError, match="Too many links"):
        os.setxattr(f"{store.mount}/x", "user.fdstorefs.label", b"blue")

    assert "red" == store.describe("x").entry.label


def test_denied_by_the_server_it_is_released(
    store: fdstorefs.Store, enforcer: FakeEnforcer, some_file: int
) -> None:
    """Mode bits and policy have the last word on what comes new."""
    store.make_box("sealed")
    store.seal("sealed")
    with pytest.raises((fdstorefs.Busy, Denied)):
        store.stash("sealed/x", some_file)
    enforcer.await_call("Release")

    assert {} == enforcer.names
