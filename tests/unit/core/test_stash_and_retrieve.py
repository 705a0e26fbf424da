"""What goes in comes out: the same open file, for as long as anything holds it."""

import pytest

from fdstorefs.core.access import Target
from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import (
    EmptyEntry,
    EntryExists,
    InvalidArgument,
    IsABox,
    NoSuchEntry,
    NotABox,
    QuotaExceeded,
)
from tests.unit.core.people import Files, Person


def test_the_very_same_open_file_comes_back(store: Store, files: Files, ada: Person) -> None:
    """Retrieving gives the object that was stashed, and leaves it there."""
    file = files()
    store.stash(ada.subject, "x", file, ada.stasher)

    assert store.retrieve_many(ada.subject, ["x", "x"]) == [file, file]


def test_taking_gives_it_and_discards_the_name(store: Store, files: Files, ada: Person) -> None:
    """The file stays open until the taker's hold is given back."""
    store.stash(ada.subject, "x", files(), ada.stasher)
    (file,) = store.take_many(ada.subject, ["x"])

    assert files.released == []
    file.drop()
    assert files.released == [1]
    with pytest.raises(NoSuchEntry):
        store.retrieve_many(ada.subject, ["x"])


def test_taking_many_takes_all_or_none(store: Store, files: Files, ada: Person) -> None:
    """One name that is missing leaves all the others where they were."""
    for name in ("a", "b"):
        store.stash(ada.subject, name, files(), ada.stasher)

    with pytest.raises(NoSuchEntry):
        store.take_many(ada.subject, ["a", "b", "missing"])
    assert len(store.retrieve_many(ada.subject, ["a", "b"])) == 2
    assert [file.holds for file in store.retrieve_many(ada.subject, ["a", "b"])] == [1, 1]


def test_a_name_cannot_be_taken_twice_in_one_call(store: Store, files: Files, ada: Person) -> None:
    """The same name twice is a mistake, said before anything is taken."""
    store.stash(ada.subject, "x", files(), ada.stasher)

    with pytest.raises(InvalidArgument):
        store.take_many(ada.subject, ["x", "/x"])
    assert store.retrieve_many(ada.subject, ["x"])


def test_a_full_entry_is_not_overwritten_by_accident(store: Store, files: Files, ada: Person) -> None:
    """Without `replace` a second stash is refused and the first stays."""
    first, second = files(), files()
    store.stash(ada.subject, "x", first, ada.stasher)

    with pytest.raises(EntryExists):
        store.stash(ada.subject, "x", second, ada.stasher)
    assert store.retrieve_many(ada.subject, ["x"]) == [first]


def test_replacing_releases_the_old_file_once(store: Store, files: Files, ada: Person) -> None:
    """With `replace` the name never stands for nothing, and the old file goes."""
    store.stash(ada.subject, "x", files(), ada.stasher)
    _, replaced = store.stash(ada.subject, "x", files(), ada.stasher, replace=True)

    assert replaced
    assert files.released == [1]


def test_replacing_a_file_by_itself_keeps_it_open(store: Store, files: Files, ada: Person) -> None:
    """The same open file stashed again under its name is not released in between."""
    file = files()
    store.stash(ada.subject, "x", file, ada.stasher)
    store.stash(ada.subject, "x", file, ada.stasher, replace=True)

    assert files.released == []
    assert file.holds == 1


def test_two_names_of_one_file_release_it_with_the_last(store: Store, files: Files, ada: Person) -> None:
    """An open file stashed under two names is one, and lives as long as either."""
    file = files()
    store.stash(ada.subject, "a", file, ada.stasher)
    store.stash(ada.subject, "b", file, ada.stasher)
    store.discard(ada.subject, store.locate(ada.subject, "a"))

    assert files.released == []
    store.discard(ada.subject, store.locate(ada.subject, "b"))
    assert files.released == [1]


def test_an_empty_entry_has_nothing_to_give(store: Store, ada: Person) -> None:
    """Created and not yet filled: ENXIO, as the file system says."""
    store.create(ada.subject, store.root, "x")

    with pytest.raises(EmptyEntry):
        store.retrieve_many(ada.subject, ["x"])


def test_an_empty_entry_is_filled_without_replace(store: Store, files: Files, ada: Person) -> None:
    """Stashing into what `create` made is the second half of a stash, not a replacement."""
    entry = store.create(ada.subject, store.root, "x")
    stashed, replaced = store.stash(ada.subject, "x", files(), ada.stasher)

    assert (stashed, replaced) == (entry, False)


def test_an_entry_discarded_before_it_is_filled_takes_nothing(
    store: Store, files: Files, ada: Person
) -> None:
    """A handle on an entry without a name cannot stash into the void."""
    entry = store.create(ada.subject, store.root, "x")
    store.discard(ada.subject, store.locate(ada.subject, "x"))
    file = files()

    with pytest.raises(NoSuchEntry):
        store.fill(ada.subject, entry, file, ada.stasher)
    assert file.holds == 0


def test_a_discarded_entry_keeps_what_a_handle_holds(store: Store, files: Files, ada: Person) -> None:
    """Unlink while open: the holder's copy lives on."""
    file = files()
    store.stash(ada.subject, "x", file, ada.stasher)
    file.hold()
    store.discard(ada.subject, store.locate(ada.subject, "x"))

    assert files.released == []
    file.drop()
    assert files.released == [1]


def test_a_box_is_no_entry_and_an_entry_no_box(store: Store, files: Files, ada: Person) -> None:
    """Names on the way must be boxes, the last one an entry."""
    store.make_box(ada.subject, store.root, "box")
    store.stash(ada.subject, "x", files(), ada.stasher)

    with pytest.raises(IsABox):
        store.retrieve_many(ada.subject, ["box"])
    with pytest.raises(IsABox):
        store.stash(ada.subject, "box", files(), ada.stasher, replace=True)
    with pytest.raises(NotABox):
        store.retrieve_many(ada.subject, ["x/y"])


def test_a_file_dropped_too_often_is_a_bug_that_shows(files: Files) -> None:
    """Losing count of holds would close a descriptor in use: it must not pass in silence."""
    with pytest.raises(AssertionError):
        files().drop()


@pytest.mark.parametrize("limits", [{"entries": 2}, {"entries_per_uid": 2}])
def test_limits_are_edquot_and_change_nothing(
    make_store: object, files: Files, ada: Person, limits: dict[str, int]
) -> None:
    """One entry too many is refused; discarding one makes room again."""
    store: Store = make_store(**limits)  # type: ignore[operator]
    for name in ("a", "b"):
        store.stash(ada.subject, name, files(), ada.stasher)

    with pytest.raises(QuotaExceeded):
        store.stash(ada.subject, "c", files(), ada.stasher)
    assert store.usage.total == 2
    store.discard(ada.subject, store.locate(ada.subject, "a"))
    store.stash(ada.subject, "c", files(), ada.stasher)


def test_one_users_limit_leaves_room_for_another(
    make_store: object, files: Files, ada: Person, bob: Person
) -> None:
    """The limit for each uid keeps one of them from filling the store."""
    store: Store = make_store(entries_per_uid=1)  # type: ignore[operator]
    store.stash(ada.subject, "a", files(), ada.stasher)

    store.stash(bob.subject, "b", files(), bob.stasher)
    assert store.usage.of(bob.subject.uid) == 1


def test_the_target_of_a_box_below_the_root_names_it(store: Store, ada: Person) -> None:
    """Paths are rebuilt from the boxes on the way."""
    outer = store.make_box(ada.subject, store.root, "outer")
    inner = store.make_box(ada.subject, outer, "inner")

    assert Target(inner, "x").path == "outer/inner/x"
    assert store.target_of(ada.subject, inner).path == "outer/inner"


def test_numbers_are_never_used_twice(store: Store, files: Files, ada: Person) -> None:
    """A stale reference by inode number must not reach a newer entry."""
    seen: list[Entry] = []
    for _ in range(3):
        entry, _replaced = store.stash(ada.subject, "x", files(), ada.stasher)
        seen.append(entry)
        store.discard(ada.subject, store.locate(ada.subject, "x"))

    assert len({entry.ino for entry in seen}) == 3
    assert set(store.tree.nodes) == {1}


def test_a_node_stays_while_the_kernel_refers_to_it(store: Store, files: Files, ada: Person) -> None:
    """Looked up through the mount, discarded, then forgotten: only then does the number go."""
    entry, _ = store.stash(ada.subject, "x", files(), ada.stasher)
    store.remember(entry)
    store.discard(ada.subject, store.locate(ada.subject, "x"))

    assert entry.ino in store.tree.nodes
    store.forget(entry.ino, 1)
    assert entry.ino not in store.tree.nodes


def test_an_open_file_without_a_releaser_is_just_dropped() -> None:
    """The core does not insist on somebody to tell."""
    file = OpenFile(descriptor=1, kind="pipe").hold()
    file.drop()

    assert file.holds == 0
