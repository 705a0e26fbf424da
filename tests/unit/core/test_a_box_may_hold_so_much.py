"""The limit of a box: whatever gives it one name more is refused with the number, and nothing has changed."""

from collections.abc import Callable

import pytest

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box
from fdstorefs.core.store import Store
from fdstorefs.errors import Denied, QuotaExceeded
from tests.unit.core.people import Files, Person

Make = Callable[..., Store]


@pytest.fixture
def store(make_store: Make, files: Files, ada: Person) -> Store:
    """A store whose boxes may hold two names: `full` has two entries in it, `other` one."""
    store = make_store(entries_per_box=2)
    for box, names in (("full", ("a", "b")), ("other", ("c",))):
        store.make_box(ada.subject, store.root, box, 0o777)
        for name in names:
            store.stash(ada.subject, f"{box}/{name}", files(), ada.stasher)
    return store


def box(store: Store, ada: Person, name: str) -> Box:
    """A box by its name."""
    found = store.locate(ada.subject, name).node
    assert isinstance(found, Box)
    return found


def one_more(store: Store, files: Files, ada: Person, how: str) -> None:
    """One name more in the full box."""
    full, subject = box(store, ada, "full"), ada.subject
    ways: dict[str, Callable[[], object]] = {
        "stash": lambda: store.stash(subject, "full/x", files(), ada.stasher),
        "create": lambda: store.create(subject, full, "x"),
        "make_box": lambda: store.make_box(subject, full, "x"),
        "link": lambda: store.link(subject, store.locate(subject, "other/c"), full, "x"),
        "rename": lambda: store.rename(subject, store.locate(subject, "other/c"), Target(full, "x")),
    }
    ways[how]()


@pytest.mark.parametrize("how", ["stash", "create", "make_box", "link", "rename"])
def test_one_name_more_is_refused(store: Store, files: Files, ada: Person, how: str) -> None:
    """Whatever it is, and wherever it comes from; when one has gone there is room."""
    with pytest.raises(QuotaExceeded, match="the box `full` is full: it may hold 2"):
        one_more(store, files, ada, how)
    before = sorted(box(store, ada, "full").children)
    store.discard(ada.subject, store.locate(ada.subject, "full/a"))
    one_more(store, files, ada, how)

    assert (["a", "b"], ["b", "x"]) == (before, sorted(box(store, ada, "full").children))


def test_what_takes_no_more_room_goes_in(store: Store, files: Files, ada: Person) -> None:
    """To replace, to rename within the box, and to rename over something there."""
    subject = ada.subject
    store.stash(subject, "full/a", files(), ada.stasher, replace=True)
    store.rename(subject, store.locate(subject, "full/a"), Target(box(store, ada, "full"), "z"))
    full = box(store, ada, "full")
    store.rename(subject, store.locate(subject, "other/c"), Target(full, "z", full.children["z"]))

    assert ["b", "z"] == sorted(full.children)


def test_the_root_is_a_box(store: Store, files: Files, ada: Person) -> None:
    """And says so."""
    with pytest.raises(QuotaExceeded, match="the box `/` is full: it may hold 2"):
        store.stash(ada.subject, "x", files(), ada.stasher)


def test_several_names_of_one_call_count_together(store: Store, ada: Person) -> None:
    """Each alone would fit; in different boxes they do."""
    subject = ada.subject
    store.discard(subject, store.locate(subject, "full/a"))
    one_each = [store.check_stash(subject, path) for path in ("full/x", "other/x")]
    store.require_room(subject, one_each)
    two = [store.check_stash(subject, path) for path in ("full/x", "full/y", "other/x")]

    with pytest.raises(QuotaExceeded, match="the box `full` has no room for 2 more entries: it may hold 2"):
        store.require_room(subject, two)


def test_who_may_not_put_anything_there_does_not_learn_that_it_is_full(
    make_store: Make, files: Files, ada: Person, bob: Person
) -> None:
    """He is told what he would be told of any box."""
    store = make_store(entries_per_box=2)
    full = store.make_box(ada.subject, store.root, "full", 0o755)
    for name in ("a", "b"):
        store.stash(ada.subject, f"full/{name}", files(), ada.stasher)
    store.stash(bob.subject, "c", files(), bob.stasher)

    with pytest.raises(Denied):
        store.stash(bob.subject, "full/x", files(), bob.stasher)
    with pytest.raises(Denied):
        store.rename(bob.subject, store.locate(bob.subject, "c", Action.RENAME), Target(full, "x"))


def test_what_is_there_stays_when_the_limit_shrinks(store: Store, files: Files, ada: Person) -> None:
    """And nothing more comes."""
    store.usage.limits = type(store.usage.limits)(entries_per_box=1)

    with pytest.raises(QuotaExceeded):
        store.stash(ada.subject, "full/x", files(), ada.stasher)
    assert ["a", "b"] == sorted(box(store, ada, "full").children)
