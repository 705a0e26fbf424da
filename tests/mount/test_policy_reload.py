"""Changes of policies while an instance serves: all of a change or nothing of it."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fdstorefs
from tests.mount.cast import Cast
from tests.mount.instance import Instance
from tests.mount.policies import ALLOW_ALL, allowing, arguments, replace, write
from tests.mount.waiting import wait_for

Start = Callable[..., Instance]

BROKEN = "version: 1\nname: a\nrules: 7\n"


@pytest.fixture
def directory(cast: Cast) -> Path:
    """A directory of policies, with one in it."""
    path = Path(cast.directory(None, "policies-"))
    path.chmod(0o755)
    write(path / "a.yaml", allowing("a", "a"))
    return path


@pytest.fixture
def instance(running_instance: Start, directory: Path) -> Instance:
    """It serves by what is in that directory."""
    return running_instance(arguments=arguments(directory))


@pytest.fixture
def store(instance: Instance) -> Iterator[fdstorefs.Store]:
    """A way in."""
    with fdstorefs.connect(instance.mount) as store:
        yield store


def policies(store: fdstorefs.Store) -> dict[str, Any]:
    """What is in force."""
    found = store.status().policy_status
    assert found is not None
    return found


def await_generation(store: fdstorefs.Store, number: int) -> dict[str, Any]:
    """Wait until so many loads have been put in force."""
    return wait_for(
        lambda: found if (found := policies(store))["generation"] >= number else {},
        what=f"generation {number}",
    )


def await_rejection(store: fdstorefs.Store) -> dict[str, Any]:
    """Wait until a change was refused."""
    return wait_for(lambda: policies(store)["rejected"] or {}, what="a rejection")


def await_acceptance(store: fdstorefs.Store) -> None:
    """Wait until there is nothing that was refused."""
    wait_for(lambda: policies(store)["rejected"] is None, what="the end of a rejection")


def may_stash(store: fdstorefs.Store, name: str) -> bool:
    """Whether the policy in force allows it."""
    try:
        store.stash(name, 0, replace=True)
    except fdstorefs.Denied:
        return False
    return True


@pytest.mark.parametrize("change", [replace, write], ids=["renamed into place", "written in place"])
def test_a_changed_file_is_put_in_force(
    store: fdstorefs.Store, directory: Path, change: Callable[[Path, str], None]
) -> None:
    """However it was changed; what is stored stays."""
    store.stash("a", 0)
    change(directory / "a.yaml", allowing("b", "[ab]"))
    found = await_generation(store, 2)

    assert ["b"] == found["names"]
    assert may_stash(store, "b")
    store.retrieve("a").close()


def test_policies_come_and_go(store: fdstorefs.Store, directory: Path) -> None:
    """With their files; what is no policy by its name changes nothing."""
    write(directory / "notes.txt", "no policy")
    write(directory / "b.yaml", allowing("b", "b"))
    both = await_generation(store, 2)
    os.unlink(directory / "a.yaml")
    one = await_generation(store, 3)

    assert (["a", "b"], ["b"]) == (both["names"], one["names"])
    assert (False, True) == (may_stash(store, "a"), may_stash(store, "b"))


def test_a_bad_file_changes_nothing(store: fdstorefs.Store, instance: Instance, directory: Path) -> None:
    """The old policies stay, also those of the other files that are new; it is said where to look."""
    before = policies(store)
    replace(directory / "a.yaml", BROKEN)
    write(directory / "b.yaml", allowing("b", "b"))
    rejected = wait_for(lambda: (found := await_rejection(store)) and found, what="a rejection")
    after = policies(store)

    assert f"{directory}/a.yaml:3:8: wrong-type" == rejected["message"]
    assert rejected["when"] > before["loaded"]
    assert {**before, "rejected": None} == {**after, "rejected": None}
    assert (True, False) == (may_stash(store, "a"), may_stash(store, "b"))
    assert f"{directory}/a.yaml:3:8: error: " in instance.said()


def test_what_was_mended_is_in_force(store: fdstorefs.Store, directory: Path) -> None:
    """And no longer refused."""
    replace(directory / "a.yaml", BROKEN)
    await_rejection(store)
    replace(directory / "a.yaml", allowing("b", "b"))
    found = await_generation(store, 2)

    assert (["b"], None) == (found["names"], found["rejected"])


def test_the_same_once_more_is_no_new_generation(store: fdstorefs.Store, directory: Path) -> None:
    """A comment makes no difference either."""
    before = policies(store)
    replace(directory / "a.yaml", BROKEN)
    await_rejection(store)
    replace(directory / "a.yaml", "# the same\n" + allowing("a", "a"))
    await_acceptance(store)

    assert before == policies(store)


def test_a_file_that_others_can_write_is_refused(store: fdstorefs.Store, directory: Path) -> None:
    """Its content does not count, and what was in force stays until that is put right."""
    write(directory / "b.yaml", allowing("b", "b"))
    await_generation(store, 2)
    os.chmod(directory / "b.yaml", 0o666)
    rejected = await_rejection(store)
    os.chmod(directory / "b.yaml", 0o644)
    await_acceptance(store)

    assert "can be written by others" in rejected["message"]
    assert policies(store)["generation"] == 2


def test_a_fifo_does_not_hang_it(store: fdstorefs.Store, directory: Path) -> None:
    """It is refused, and later changes are seen."""
    os.mkfifo(directory / "b.yaml")
    rejected = await_rejection(store)
    os.unlink(directory / "b.yaml")
    await_acceptance(store)
    write(directory / "c.yaml", allowing("c", "c"))

    assert "is a fifo" in rejected["message"]
    assert ["a", "c"] == await_generation(store, 2)["names"]


def test_a_directory_behind_a_link_can_be_swapped(running_instance: Start, cast: Cast) -> None:
    """As a ConfigMap is changed: new directory, new link, renamed over the old one."""
    top = Path(cast.directory(None, "map-"))
    (top / "..1").mkdir(mode=0o755)
    (top / "..2").mkdir(mode=0o755)
    write(top / "..1" / "p.yaml", allowing("one", "a"))
    write(top / "..2" / "p.yaml", allowing("two", "b"))
    (top / "..data").symlink_to("..1")
    (top / "p.yaml").symlink_to("..data/p.yaml")
    for path in (top, top / "p.yaml", top / "..data"):
        instance = running_instance(arguments=arguments(path))
        with fdstorefs.connect(instance.mount) as store:
            for generation, (target, name) in enumerate([("..2", "two"), ("..1", "one")], 2):
                (top / "..new").symlink_to(target)
                os.rename(top / "..new", top / "..data")

                assert [name] == await_generation(store, generation)["names"]
        instance.stop()


def test_a_directory_that_is_gone_is_found_again(store: fdstorefs.Store, directory: Path) -> None:
    """Without it the policies stay; whoever made it again is followed as before."""
    shutil.rmtree(directory)
    rejected = await_rejection(store)
    kept = policies(store)
    directory.mkdir(mode=0o755)
    write(directory / "b.yaml", allowing("b", "b"))
    again = await_generation(store, 2)
    replace(directory / "b.yaml", allowing("c", "c"))

    # It is read while it goes, too: then there is no policy in it.
    assert str(directory) in rejected["message"]
    assert (["a"], 1) == (kept["names"], kept["generation"])
    assert ["b"] == again["names"]
    assert ["c"] == await_generation(store, 3)["names"]


def test_a_directory_that_was_moved_is_missed(store: fdstorefs.Store, directory: Path) -> None:
    """What goes on in it elsewhere is no policy; another in its place is."""
    elsewhere = directory.rename(directory.parent / "elsewhere")
    await_rejection(store)
    write(elsewhere / "b.yaml", allowing("b", "b"))
    directory.mkdir(mode=0o755)
    write(directory / "c.yaml", allowing("c", "c"))

    assert ["c"] == await_generation(store, 2)["names"]


def test_limits_change_and_what_is_stored_stays(
    store: fdstorefs.Store, instance: Instance, directory: Path
) -> None:
    """More than the new limit may be there; only nothing is added."""
    replace(directory / "a.yaml", ALLOW_ALL)
    await_generation(store, 2)
    store.stash_many({"x": 0, "y": 0, "z": 0})
    replace(directory / "a.yaml", ALLOW_ALL.replace("rules:", "limits: {entries: 2}\nrules:"))
    await_generation(store, 3)

    assert 3 == store.status().entries
    with pytest.raises(fdstorefs.QuotaExceeded):
        store.stash("more", 0)
    with pytest.raises(OSError, match="quota"):
        os.mkdir(f"{instance.mount}/box")
    store.retrieve("z").close()
    replace(directory / "a.yaml", ALLOW_ALL)
    await_generation(store, 4)
    store.stash("more", 0)


def test_loads_refusals_and_changes_of_mode_are_on_record(
    running_instance: Start, directory: Path, tmp_path: Path
) -> None:
    """Each with what it was about."""
    log = tmp_path / "audit.jsonl"
    instance = running_instance(arguments=[*arguments(directory), "--audit", f"file:{log}"])
    with fdstorefs.connect(instance.mount) as store:
        replace(directory / "a.yaml", BROKEN)
        await_rejection(store)
        replace(directory / "a.yaml", allowing("a", "a", "mode: monitor"))
        await_generation(store, 2)
    instance.stop()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    refused, loaded, changed = records[2:5]

    assert ["policy-reject", "policy-load", "mode-change"] == [record["type"] for record in records[2:5]]
    assert (1, [str(directory)]) == (refused["policy"]["generation"], refused["files"])
    assert (2, "monitor", [f"{directory}/a.yaml"]) == (
        loaded["policy"]["generation"],
        loaded["policy"]["mode"],
        loaded["files"],
    )
    assert ("a", "enforce", "monitor") == (changed["name"], changed["former"], changed["mode"])


def test_what_is_beside_the_policies_is_left_alone(running_instance: Start, directory: Path) -> None:
    """One file is named, and its neighbour is none of its business."""
    instance = running_instance(arguments=arguments(directory / "a.yaml"))
    with fdstorefs.connect(instance.mount) as store:
        write(directory / "b.yaml", BROKEN)
        replace(directory / "a.yaml", allowing("c", "c"))
        found = await_generation(store, 2)

    assert (["c"], None) == (found["names"], found["rejected"])


def test_at_every_moment_it_is_the_one_or_the_other(
    store: fdstorefs.Store, instance: Instance, directory: Path
) -> None:
    """Eight clients ask without pause while two policies take turns: they see `a` or `b`, never neither or both."""
    one, other = allowing("one", "a"), allowing("other", "b")
    replace(directory / "a.yaml", ALLOW_ALL)
    await_generation(store, 2)
    store.stash_many({"a": 0, "b": 0})
    replace(directory / "a.yaml", one)
    await_generation(store, 3)
    seen: set[tuple[str, ...]] = set()
    ended = threading.Event()

    def ask() -> None:
        with fdstorefs.connect(instance.mount) as mine:
            while not ended.is_set():
                seen.add(tuple(entry.name for entry in mine.list()))

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        for generation in range(4, 10):
            replace(directory / "a.yaml", one if generation % 2 else other)
            await_generation(store, generation)
    finally:
        ended.set()
        for client in clients:
            client.join(20)

    assert {("a",), ("b",)} == seen
