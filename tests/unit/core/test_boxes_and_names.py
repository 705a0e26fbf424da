"""Boxes, renaming, linking and sealing behave as directories do, and say the same errors."""

import pytest

from fdstorefs.core.store import Store
from fdstorefs.errors import (
    Busy,
    EntryExists,
    InvalidArgument,
    IsABox,
    NoSuchEntry,
    NotABox,
    NotEmpty,
    NotPermitted,
)
from tests.unit.core.people import Files, Person


@pytest.fixture
def filled(store: Store, files: Files, ada: Person) -> Store:
    """A store with `a`, `box/b` and the empty box `empty`."""
    store.stash(ada.subject, "a", files(), ada.stasher)
    store.make_box(ada.subject, store.root, "box")
    store.make_box(ada.subject, store.root, "empty")
    store.stash(ada.subject, "box/b", files(), ada.stasher)
    return store


def paths(store: Store, person: Person) -> list[str]:
    """Every path the person may list."""
    return [path for path, _ in store.walk(person.subject)]


def rename(store: Store, person: Person, source: str, goal: str, *, replace: bool = True) -> None:
    """Rename by path."""
    subject = person.subject
    store.rename(subject, store.locate(subject, source), store.locate_goal(subject, goal), replace=replace)


def test_listing_goes_into_boxes(filled: Store, ada: Person) -> None:
    """Every path, sorted, boxes too."""
    assert paths(filled, ada) == ["a", "box", "box/b", "empty"]


def test_rename_moves_between_boxes(filled: Store, ada: Person) -> None:
    """The entry is the same before and after."""
    before = filled.locate(ada.subject, "a").node
    rename(filled, ada, "a", "box/c")

    assert filled.locate(ada.subject, "box/c").node is before
    assert paths(filled, ada) == ["box", "box/b", "box/c", "empty"]


def test_rename_replaces_and_releases(filled: Store, files: Files, ada: Person) -> None:
    """As rename(2): what was there goes."""
    rename(filled, ada, "box/b", "a")

    assert files.released == [1]
    assert paths(filled, ada) == ["a", "box", "empty"]


def test_noreplace_is_honoured(filled: Store, files: Files, ada: Person) -> None:
    """RENAME_NOREPLACE: EEXIST and nothing happens."""
    with pytest.raises(EntryExists):
        rename(filled, ada, "box/b", "a", replace=False)
    assert files.released == []


def test_rename_to_itself_does_nothing(filled: Store, ada: Person) -> None:
    """Also through a second name of the same entry."""
    filled.link(ada.subject, filled.locate(ada.subject, "a"), filled.root, "a2")
    rename(filled, ada, "a", "a")
    rename(filled, ada, "a", "a2")

    assert paths(filled, ada) == ["a", "a2", "box", "box/b", "empty"]


@pytest.mark.parametrize(
    ("source", "goal", "error"),
    [
        ("a", "box", IsABox),
        ("box", "a", NotABox),
        ("empty", "box", NotEmpty),
        ("box", "box/inside", InvalidArgument),
        ("missing", "b", NoSuchEntry),
        ("a", "missing/b", NoSuchEntry),
    ],
)
def test_rename_refuses_what_rename2_refuses(
    filled: Store, ada: Person, source: str, goal: str, error: type[OSError]
) -> None:
    """Each with its own errno, and the tree stays as it was."""
    before = paths(filled, ada)

    with pytest.raises(error):
        rename(filled, ada, source, goal)
    assert paths(filled, ada) == before


def test_a_box_replaces_an_empty_box(filled: Store, ada: Person) -> None:
    """As rename(2) of directories."""
    rename(filled, ada, "box", "empty")

    assert paths(filled, ada) == ["a", "empty", "empty/b"]


def test_a_link_is_a_second_name_of_the_same_entry(filled: Store, files: Files, ada: Person) -> None:
    """Both names share owner, mode and file; the last one to go closes it."""
    filled.link(ada.subject, filled.locate(ada.subject, "a"), filled.root, "z")
    filled.discard(ada.subject, filled.locate(ada.subject, "a"))

    assert files.released == []
    filled.discard(ada.subject, filled.locate(ada.subject, "z"))
    assert files.released == [1]


def test_a_link_counts_once_against_the_limits(filled: Store, ada: Person) -> None:
    """Names cost little; open files are what runs out."""
    before = filled.usage.total
    filled.link(ada.subject, filled.locate(ada.subject, "a"), filled.root, "z")
    filled.discard(ada.subject, filled.locate(ada.subject, "z"))

    assert filled.usage.total == before


def test_boxes_have_one_name(filled: Store, ada: Person) -> None:
    """EPERM, as for directories."""
    with pytest.raises(NotPermitted):
        filled.link(ada.subject, filled.locate(ada.subject, "box"), filled.root, "box2")


def test_only_empty_boxes_are_removed(filled: Store, ada: Person) -> None:
    """ENOTEMPTY otherwise; the root stays for ever; an entry is not a box."""
    with pytest.raises(NotEmpty):
        filled.remove_box(ada.subject, filled.locate(ada.subject, "box"))
    with pytest.raises(Busy):
        filled.remove_box(ada.subject, filled.locate(ada.subject, "/"))
    with pytest.raises(NotABox):
        filled.remove_box(ada.subject, filled.locate(ada.subject, "a"))

    filled.remove_box(ada.subject, filled.locate(ada.subject, "empty"))
    assert "empty" not in paths(filled, ada)


def test_nothing_is_made_in_a_box_that_was_removed(filled: Store, ada: Person) -> None:
    """A process whose working directory was removed gets ENOENT."""
    box = filled.locate(ada.subject, "empty").node
    filled.remove_box(ada.subject, filled.locate(ada.subject, "empty"))

    with pytest.raises(NoSuchEntry):
        filled.create(ada.subject, box, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["a", "other"])
def test_nothing_is_renamed_into_a_removed_box(filled: Store, ada: Person, what: str) -> None:
    """An open directory leads to one; what came there could never be reached again."""
    filled.make_box(ada.subject, filled.root, "other")
    gone = filled.make_box(ada.subject, filled.root, "gone")
    filled.remember(gone)
    filled.remove_box(ada.subject, filled.locate(ada.subject, "gone"))
    before = dict(filled.root.children)

    with pytest.raises(NoSuchEntry):
        filled.rename(ada.subject, filled.locate(ada.subject, what), filled.target(gone, "x"))
    assert before == filled.root.children
    assert {} == gone.children


@pytest.mark.parametrize("name", [".fdstore", ".notify"])
def test_the_stores_own_sockets_keep_their_names(filled: Store, ada: Person, name: str) -> None:
    """They are reserved in the root and free elsewhere."""
    with pytest.raises(EntryExists):
        filled.create(ada.subject, filled.root, name)
    with pytest.raises(EntryExists):
        rename(filled, ada, "a", name)
    box = filled.locate(ada.subject, "box").node
    filled.create(ada.subject, box, name)  # type: ignore[arg-type]


def test_a_sealed_box_lets_nothing_in_or_out(filled: Store, files: Files, ada: Person) -> None:
    """EBUSY for every operation on what it holds, until it is unsealed."""
    box = filled.locate(ada.subject, "box").node
    filled.seal(ada.subject, box)  # type: ignore[arg-type]
    subject, at = ada.subject, filled.locate
    attempts = [
        lambda: filled.retrieve_many(subject, ["box/b"]),
        lambda: filled.take_many(subject, ["box/b"]),
        lambda: filled.discard(subject, at(subject, "box/b")),
        lambda: filled.stash(subject, "box/c", files(), ada.stasher),
        lambda: filled.stash(subject, "box/b", files(), ada.stasher, replace=True),
        lambda: rename(filled, ada, "box/b", "c"),
        lambda: rename(filled, ada, "a", "box/a"),
        lambda: rename(filled, ada, "box", "moved"),
        lambda: filled.link(subject, at(subject, "box/b"), filled.root, "l"),
        lambda: filled.set_mode(subject, at(subject, "box/b").node, 0o666),  # type: ignore[arg-type]
        lambda: filled.remove_box(subject, at(subject, "box")),
    ]

    for attempt in attempts:
        with pytest.raises(Busy):
            attempt()
    filled.seal(ada.subject, box, sealed=False)  # type: ignore[arg-type]
    assert filled.retrieve_many(subject, ["box/b"])


def test_a_box_inside_a_sealed_box_is_sealed_too(filled: Store, files: Files, ada: Person) -> None:
    """Sealing covers all that lies below."""
    outer = filled.locate(ada.subject, "box").node
    filled.make_box(ada.subject, outer, "inner")  # type: ignore[arg-type]
    filled.seal(ada.subject, outer)  # type: ignore[arg-type]

    with pytest.raises(Busy):
        filled.stash(ada.subject, "box/inner/x", files(), ada.stasher)
