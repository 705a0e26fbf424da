"""Names cost the store something each time the file is asked for, so one open file has only so many of them."""

import errno
from collections.abc import Callable

import pytest

from fdstorefs.core.limits import MOST_NAMES
from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.errors import TooManyNames
from tests.unit.core.people import Files, Person


def link(store: Store, who: Person, source: str, goal: str) -> Entry:
    """Link by path, in the root."""
    return store.link(who.subject, store.locate(who.subject, source), store.root, goal)


def names(store: Store) -> list[str]:
    """All that there are."""
    return sorted(store.root.children)


Way = Callable[[Store, Person, Entry, Files], object]
WAYS: dict[str, Way] = {
    "link": lambda store, who, entry, files: link(store, who, "a", "more"),
    "stash": lambda store, who, entry, files: store.stash(who.subject, "more", _file(entry), who.stasher),
    "replace": lambda store, who, entry, files: store.stash(
        who.subject, "other", _file(entry), who.stasher, replace=True
    ),
    "fill": lambda store, who, entry, files: store.fill(
        who.subject, _entry(store, "empty"), _file(entry), who.stasher
    ),
}


def _file(entry: Entry) -> OpenFile:
    assert entry.file is not None
    return entry.file


def _entry(store: Store, name: str) -> Entry:
    node = store.root.children[name]
    assert isinstance(node, Entry)
    return node


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made_by", ["link", "stash", "both"])
def test_an_open_file_has_no_more(way: str, made_by: str, store: Store, files: Files, ada: Person) -> None:
    """All names of all entries that hold it count; nothing has changed when it is one too many."""
    store.stash(ada.subject, "other", files(), ada.stasher)
    store.create(ada.subject, store.root, "empty")
    entry, _ = store.stash(ada.subject, "a", files(), ada.stasher)
    for number in range(MOST_NAMES - 1):
        if made_by == "link" or (made_by == "both" and number % 2):
            link(store, ada, "a", f"n{number}")
        else:
            store.stash(ada.subject, f"n{number}", _file(entry), ada.stasher)
    before, other = names(store), _entry(store, "other").file

    with pytest.raises(TooManyNames) as told:
        WAYS[way](store, ada, entry, files)
    assert (errno.EMLINK, MOST_NAMES) == (told.value.errno, _file(entry).names)
    assert (before, other, None) == (names(store), _entry(store, "other").file, _entry(store, "empty").file)
    store.discard_many(ada.subject, ["n0"])
    WAYS[way](store, ada, entry, files)
    assert MOST_NAMES == _file(entry).names


def test_an_empty_entry_has_no_more_either(store: Store, files: Files, ada: Person) -> None:
    """Nor gets it around the limit by being filled."""
    entry = store.create(ada.subject, store.root, "a")
    for number in range(MOST_NAMES - 1):
        link(store, ada, "a", f"n{number}")

    with pytest.raises(TooManyNames):
        link(store, ada, "a", "more")
    file = files()
    store.stash(ada.subject, "elsewhere", file, ada.stasher)
    with pytest.raises(TooManyNames):
        store.fill(ada.subject, entry, file, ada.stasher)
    assert entry.file is None
    store.fill(ada.subject, entry, files(), ada.stasher)
    assert MOST_NAMES == _file(entry).names


def test_what_is_there_already_may_be_put_there_again(store: Store, files: Files, ada: Person) -> None:
    """It has no more names than before."""
    entry, _ = store.stash(ada.subject, "a", files(), ada.stasher)
    for number in range(MOST_NAMES - 1):
        link(store, ada, "a", f"n{number}")

    store.stash(ada.subject, "n3", _file(entry), ada.stasher, replace=True)
    assert MOST_NAMES == _file(entry).names


def test_those_of_one_call_count_together(store: Store, files: Files, ada: Person) -> None:
    """Each alone would be allowed."""
    entry, _ = store.stash(ada.subject, "a", files(), ada.stasher)
    file, other = _file(entry), files()
    targets = [store.check_stash(ada.subject, f"n{number}") for number in range(MOST_NAMES)]
    for target in targets:
        store.check_put(ada.subject, target, file, None)

    store.require_names(list(zip(targets[1:], [file] * (MOST_NAMES - 1), strict=True)))
    store.require_names(list(zip(targets, [file, other] * (MOST_NAMES // 2), strict=True)))
    with pytest.raises(TooManyNames) as told:
        store.require_names([(target, file) for target in targets])
    assert f"n{MOST_NAMES - 1}" == told.value.name
