"""Entries that expire or are evicted: when that is noted, what goes, and what doesn't."""

import pytest

from fdstorefs.core.access import Action, Target, mode_bits
from fdstorefs.core.event import Change, Event
from fdstorefs.core.node import Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Denied, NoSuchEntry, NotPermitted
from tests.unit.core.knowing_guard import KnowingGuard
from tests.unit.core.people import Files, Person


def stash(store: Store, person: Person, path: str, files: Files, expires: int | None = None) -> Entry:
    """Stash a new file, in place of what is there."""
    target = store.check_stash(person.subject, path, replace=True)
    put = store.to_put(target, files(), person.stasher, None, expires)
    with store.agreement(person.subject, [put]) as agreement:
        agreement.complete()
        return store.put_all(person.subject, [put])[0][0]


def lapse(store: Store, now: int) -> list[str]:
    """Have go what is due, and return what stays though it was."""
    due = store.schedule.take_due(now, 10)
    targets = [target for entry in due for target in store.may_lapse(entry)]
    if targets:
        store.lapse(targets, Change.EXPIRED)
    return [Target(box, name, entry).path for entry in due for box, name in entry.places]


def test_all_names_go_and_the_file_is_closed_once(store: Store, ada: Person, files: Files) -> None:
    """One operation; the guard knows of no name any more, and the count of entries is as before."""
    guard = store.guard = KnowingGuard(store)
    entry = stash(store, ada, "a", files, expires=5)
    store.link(ada.subject, store.locate(ada.subject, "a"), store.root, "b")
    told: list[Event] = []
    store.events.subscribe(0, told.append)
    left = [lapse(store, 4), lapse(store, 5)]

    assert [[], []] == left
    assert ([], [1], {}, 0) == (list(store.root.children), files.released, guard.known, store.usage.total)
    assert [("expired", "a"), ("expired", "b")] == [(event.change, event.name) for event in told]
    assert not entry.is_named


def test_what_is_in_a_sealed_box_stays_until_it_is_unsealed(store: Store, ada: Person, files: Files) -> None:
    """Its name outside goes at once; whoever unseals is heard of before anybody else can ask."""
    box = store.make_box(ada.subject, store.root, "box")
    entry = stash(store, ada, "out", files, expires=5)
    store.link(ada.subject, store.locate(ada.subject, "out"), box, "in")
    store.seal(ada.subject, box)
    stays = lapse(store, 5)
    told: list[list[Target]] = []
    store.unsealed = lambda: told.append(store.may_lapse(entry))
    store.seal(ada.subject, box, sealed=False)

    assert ["box/in"] == stays
    assert (["box"], [], 5) == (list(store.root.children), files.released, entry.expires)
    assert [[Target(box, "in", entry)]] == told


def test_what_is_below_a_sealed_box_stays_too(store: Store, ada: Person, files: Files) -> None:
    """A seal holds for everything below."""
    box = store.make_box(ada.subject, store.root, "box")
    store.make_box(ada.subject, box, "inner")
    stash(store, ada, "box/inner/x", files, expires=5)
    store.seal(ada.subject, box)

    assert ["box/inner/x"] == lapse(store, 9)


@pytest.mark.parametrize("how", ["discard", "take", "replace"])
def test_what_has_gone_otherwise_is_not_due(store: Store, ada: Person, files: Files, how: str) -> None:
    """Discarded, taken, or replaced by what doesn't expire."""
    stash(store, ada, "a", files, expires=5)
    if how == "discard":
        store.discard(ada.subject, store.locate(ada.subject, "a"))
    elif how == "take":
        for file in store.take_many(ada.subject, ["a"]):
            file.drop()
    else:
        stash(store, ada, "a", files)

    assert (None, []) == (store.schedule.nearest, store.schedule.take_due(9, 9))


def test_what_is_over_is_not_delivered_any_more(store: Store, ada: Person, files: Files) -> None:
    """However late it goes: not in the moment before, either."""
    stash(store, ada, "a", files, expires=5)
    now = 4
    store.is_over = lambda when: when <= now
    before = store.retrieve(ada.subject, store.locate(ada.subject, "a")).number
    now = 5
    with pytest.raises(NoSuchEntry):
        store.retrieve(ada.subject, store.locate(ada.subject, "a"))
    with pytest.raises(NoSuchEntry):
        store.take_many(ada.subject, ["a"])

    assert (1, ["a"]) == (before, list(store.root.children))


def test_an_empty_entry_keeps_its_time_when_it_is_filled(store: Store, ada: Person, files: Files) -> None:
    """So it can be said before there is anything in it; and it goes empty, too."""
    entry, other = (store.create(ada.subject, store.root, name) for name in ("a", "b"))
    for each in (entry, other):
        store.set_expiry(ada.subject, each, 5)
    store.fill(ada.subject, entry, files(), ada.stasher)
    left = lapse(store, 5)

    assert ([], [], [1]) == (left, list(store.root.children), files.released)


def test_only_the_owner_says_when_it_goes(store: Store, ada: Person, bob: Person, files: Files) -> None:
    """And whether it goes on hang-up."""
    entry = stash(store, ada, "a", files)
    with pytest.raises(NotPermitted):
        store.set_expiry(bob.subject, entry, 5)
    with pytest.raises(NotPermitted):
        store.set_polled(bob.subject, entry, polled=False)

    assert (None, None, True) == (store.schedule.nearest, entry.expires, entry.polled)


def test_who_may_not_discard_it_may_not_have_it_go(store: Store, ada: Person, files: Files) -> None:
    """The policy is asked; that it stays may be said nevertheless."""
    entry = stash(store, ada, "a", files)

    class NoDiscards(type(store._authority)):  # type: ignore[misc]  # whatever it is, with one thing forbidden
        def require_policy(self, subject: Subject, action: Action, target: Target) -> None:
            if action is Action.DISCARD:
                raise Denied("policy: nothing is discarded")

    store._authority = NoDiscards(mode_bits)
    with pytest.raises(Denied):
        store.set_expiry(ada.subject, entry, 5)
    with pytest.raises(Denied):
        store.set_polled(ada.subject, entry, polled=True)
    store.set_polled(ada.subject, entry, polled=False)
    store.set_expiry(ada.subject, entry, None)

    assert (None, False) == (entry.expires, entry.polled)


def test_files_that_come_are_attended_to(store: Store, ada: Person, files: Files) -> None:
    """When they come into an entry, and when it is said whether it is polled."""
    told: list[int] = []
    store.attend = lambda file: told.append(file.number)
    entry = stash(store, ada, "a", files)
    stash(store, ada, "a", files)
    store.set_polled(ada.subject, entry, polled=False)

    assert [1, 2, 2] == told


def overdue(store: Store, now: int) -> list[str]:
    """Have the store know the time; what has gone before its turn, as it goes."""
    gone: list[str] = []

    def go(entry: Entry) -> None:
        targets = store.may_lapse(entry)
        gone.extend(target.path for target in targets)
        store.lapse(targets, Change.EXPIRED)

    store.is_over, store.go_now = (lambda when: when <= now), go
    return gone


def test_nobody_meets_what_has_yet_to_go(store: Store, ada: Person, files: Files) -> None:
    """It is in no listing; whoever asks for its name, or by its number, is told that it is gone."""
    old, _ = stash(store, ada, "old", files, expires=5), stash(store, ada, "new", files, expires=6)
    gone = overdue(store, 5)
    listed = [name for name, _ in store.names(ada.subject, store.root)]
    walked = [path for path, _ in store.walk(ada.subject)]
    with pytest.raises(NoSuchEntry):
        store.target_of(ada.subject, old)
    before = list(gone)
    with pytest.raises(NoSuchEntry):
        store.locate(ada.subject, "old")

    assert (["new"], ["new"], [], ["old"]) == (listed, walked, before, gone)


def test_its_name_is_free(store: Store, ada: Person, files: Files) -> None:
    """What is stashed there is new: it replaces nothing, and does not go with what was there."""
    stash(store, ada, "a", files, expires=5)
    gone = overdue(store, 5)
    store.stash(ada.subject, "a", files(), ada.stasher)

    assert (["a"], None) == (gone, store.locate(ada.subject, "a").node.expires)  # type: ignore[union-attr]


def test_in_a_sealed_box_it_is_met(store: Store, ada: Person, files: Files) -> None:
    """There it stays, and is seen to."""
    box = store.make_box(ada.subject, store.root, "box")
    stash(store, ada, "box/a", files, expires=5)
    store.seal(ada.subject, box)
    gone = overdue(store, 5)

    assert ["a"] == [name for name, _ in store.names(ada.subject, box)]
    assert "box/a" == store.locate(ada.subject, "box/a").path
    assert [] == gone
