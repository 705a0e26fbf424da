"""Open files are guarded by all their names, rows before tags, and never less than a moment before."""

import errno
import os
from collections.abc import Callable

import pytest

from fdstorefs.bpf.abi import KNOWS_CAPABILITIES, KNOWS_USERNS, NO_CLASSES, UNGUARDED, Key, Table
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer import guarding
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.room import Cost, Room
from tests.unit.enforcer.enforced import ELSEWHERE, HERE, POLICY, Enforced, name


def gone(enforced: Enforced, instance: Instance, fd: int) -> None:
    """A file is closed everywhere, and it has been seen that no tag is left of it."""
    made = enforced.set_of(instance, fd)
    assert made is not None
    del enforced.kernel.tags[os.fstat(fd).st_ino]
    enforced.guarding.retire_all([made], instance)
    enforced.clear()


def test_a_file_is_tagged_with_its_names_classes(enforced: Enforced, instance: Instance) -> None:
    """One class to retrieve and one to take, for the one who stashed it."""
    fd = enforced.open_file()

    outcome = enforced.guard(instance, fd, name("web/a", 5))

    made = enforced.set_of(instance, fd)
    assert (True, None) == (outcome.guarded, outcome.why)
    assert made is not None
    assert 2 == len(enforced.kernel.sets[made].classes)
    assert made == enforced.kernel.known_entries[instance.device, 5]


def test_what_the_kernel_knows_of_the_opener_is_told(enforced: Enforced, instance: Instance) -> None:
    """In the instance's ids."""
    outcome = enforced.guard(instance, enforced.open_file(uid=1234), name("a", 5, 1234))

    assert (1234, 0, (HERE,), 1234) == (
        outcome.opener.uid,
        outcome.opener.capabilities,
        outcome.opener.userns,
        outcome.opener_gid,
    )


def test_to_say_the_same_again_changes_nothing(enforced: Enforced, instance: Instance) -> None:
    """A server that comes back tells of everything it has."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    before = enforced.set_of(instance, fd)

    enforced.guard(instance, fd, name("a", 5))

    assert before == enforced.set_of(instance, fd)
    assert 1 == len(enforced.kernel.sets)


def test_other_names_are_another_set(enforced: Enforced, instance: Instance) -> None:
    """The former one goes after a moment, with all that belongs to it."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    former = enforced.set_of(instance, fd)
    assert former is not None
    classes = enforced.kernel.sets[former].classes

    enforced.guard(instance, fd, name("b", 6))

    assert former in enforced.kernel.sets
    enforced.clear()
    assert former not in enforced.kernel.sets
    assert not set(classes) & enforced.kernel.classes.keys()
    assert not [key for key in enforced.kernel.rows if key.table >= Table.TERMS and key.of in classes]
    assert {(instance.device, 6)} == enforced.kernel.known_entries.keys()


def test_without_names_it_stays_guarded(enforced: Enforced, instance: Instance) -> None:
    """Under those that it had last, until it is closed; in no entry any more."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    before = enforced.set_of(instance, fd)

    outcome = enforced.guard(instance, fd)
    enforced.clear()

    assert (True, None) == (outcome.guarded, outcome.why)
    assert before == enforced.set_of(instance, fd)
    assert ({}, [before]) == (enforced.kernel.known_entries, list(enforced.kernel.sets))


def test_without_names_what_was_never_guarded_is_nobodys_business(
    enforced: Enforced, instance: Instance
) -> None:
    """The server has withheld it from everybody since it came."""
    fd = enforced.open_file()
    enforced.kernel.tag(fd, instance.number, NO_CLASSES)

    outcome = enforced.guard(instance, fd)

    assert (False, "authority") == (outcome.guarded, outcome.why)
    assert None is enforced.set_of(instance, fd)


def test_what_is_not_the_servers_is_not_tagged(enforced: Enforced, instance: Instance) -> None:
    """Its server decides alone who opens it, which the kernel has to know."""
    fd = enforced.open_file(authority=False)

    outcome = enforced.guard(instance, fd, name("a", 5))

    assert (False, "authority") == (outcome.guarded, outcome.why)
    assert None is enforced.set_of(instance, fd)
    assert UNGUARDED == enforced.kernel.known_entries[instance.device, 5]


MADE_BY_STASHER, MADE_BY_ANOTHER = {ELSEWHERE: 1000}, {ELSEWHERE: 1001}
SYS_ADMIN = 1 << 21


@pytest.mark.parametrize(
    ("stasher", "above", "guarded"),
    [
        (name("a", 5), {}, True),
        (name("a", 5, 1001), {}, False),
        (name("a", 5, None), {}, False),
        (name("a", 5, userns=None), {}, False),
        (name("a", 5, userns=(9,)), {}, False),
        (name("a", 5, 0, capabilities=SYS_ADMIN), {}, True),
        (name("a", 5, 0), {}, False),
        (name("a", 5, 0, capabilities=None), {}, False),
        (name("a", 5, 0, capabilities=SYS_ADMIN, userns=None), {}, False),
        (name("a", 5, 0, capabilities=SYS_ADMIN, userns=(9,)), {}, False),
        (name("a", 5), MADE_BY_STASHER, True),
        (name("a", 5), MADE_BY_ANOTHER, False),
        (name("a", 5), {6: 1001, ELSEWHERE: 1000}, True),
        (name("a", 5), {6: 1000, ELSEWHERE: 1001}, False),
        (name("a", 5, userns=(ELSEWHERE, HERE)), MADE_BY_ANOTHER, True),
        (name("a", 5, userns=(ELSEWHERE, HERE)), {6: 1000, ELSEWHERE: 0}, True),
        (name("a", 5, userns=(ELSEWHERE, HERE)), {}, False),
        (name("a", 5, 0, capabilities=SYS_ADMIN), MADE_BY_ANOTHER, True),
    ],
    ids=[
        "the opener himself",
        "another",
        "a stranger",
        "somebody from nowhere",
        "somebody from a namespace that nothing holds",
        "a privileged one",
        "root without privilege",
        "somebody of unknown privilege",
        "a privileged one from nowhere",
        "a privileged one from elsewhere",
        "who made the opener's namespace",
        "who did not make it",
        "who made the one above it",
        "who made one in somebody else's",
        "the opener himself, below",
        "who made the opener's, below",
        "the opener's uid, below",
        "a privileged one, of what is below",
    ],
)
def test_who_has_a_file_guarded(
    enforced: Enforced, instance: Instance, stasher: guarding.Name, above: dict[int, int], guarded: bool
) -> None:
    """Who stashes it must be able to speak for who opened it, as the instance's server must."""
    fd = enforced.open_file(above=above)
    enforced.kernel.tag(fd, instance.number, NO_CLASSES)

    outcome = enforced.guard(instance, fd, stasher)

    assert (guarded, None if guarded else "authority") == (outcome.guarded, outcome.why)
    assert guarded == (enforced.set_of(instance, fd) is not None)
    assert guarded == (enforced.kernel.known_entries[instance.device, 5] != UNGUARDED)


def test_an_opener_who_was_two_users_is_nobodys(enforced: Enforced, instance: Instance) -> None:
    """The kernel knows no uid of him."""
    fd = enforced.open_file(known=KNOWS_CAPABILITIES | KNOWS_USERNS)

    assert "authority" == enforced.guard(instance, fd, name("a", 5)).why
    assert enforced.guard(instance, fd, name("a", 5, 0, capabilities=SYS_ADMIN)).guarded


def test_one_who_may_is_enough(enforced: Enforced, instance: Instance) -> None:
    """When his name goes it stays guarded as it was: whoever says that it has gone could be lying."""
    fd = enforced.open_file()
    others, his = name("others", 5, 1001), name("his", 6)

    assert not enforced.guard(instance, fd, others).guarded
    assert enforced.guard(instance, fd, others, his).guarded
    made = enforced.set_of(instance, fd)
    assert [made, made] == [enforced.kernel.known_entries[instance.device, inode] for inode in (5, 6)]

    assert enforced.guard(instance, fd, others).guarded
    assert made == enforced.set_of(instance, fd)
    assert {(instance.device, 5): made} == enforced.kernel.known_entries


def test_it_is_classified_anew_when_it_comes_back(enforced: Enforced, instance: Instance) -> None:
    """Under the names that it has then."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    former = enforced.set_of(instance, fd)
    enforced.guarding.release(instance, fd)

    assert enforced.guard(instance, fd, name("a", 6)).guarded
    enforced.clear()

    made = enforced.set_of(instance, fd)
    assert former != made
    assert ([made], {(instance.device, 6): made}) == (
        list(enforced.kernel.sets),
        enforced.kernel.known_entries,
    )


@pytest.mark.parametrize(
    ("seen", "above", "known"),
    [
        ((HERE,), {}, (HERE,)),
        ((ELSEWHERE, HERE), {ELSEWHERE: 0}, (ELSEWHERE, HERE)),
        ((6, ELSEWHERE, HERE), {6: 0, ELSEWHERE: 0}, (6, ELSEWHERE, HERE)),
        ((6, HERE), {6: 0, ELSEWHERE: 0}, (6, ELSEWHERE, HERE)),
        ((6, HERE), {}, ()),
        ((9,), {}, ()),
        (None, {}, ()),
    ],
    ids=[
        "the instance's own",
        "the opener's",
        "the opener's, further down",
        "the opener's, told wrongly",
        "one below that nothing holds",
        "one beside it",
        "not told",
    ],
)
def test_a_namespace_is_known_while_something_holds_it(
    enforced: Enforced,
    instance: Instance,
    seen: tuple[int, ...] | None,
    above: dict[int, int],
    known: tuple[int, ...],
) -> None:
    """Its number is another's once it has gone: what is not held is not known, and never permission."""
    fd = enforced.open_file(above=above)
    enforced.guard(instance, fd, name("all", 4, 0, capabilities=SYS_ADMIN), name("a", 5, 1001, userns=seen))

    found = [each for each in enforced.kernel.classes.values() if each.stasher.uid == 1001]
    assert 2 == len(found)
    assert {known} == {each.stasher_chain.numbers for each in found}
    assert {bool(known)} == {bool(each.stasher.known & KNOWS_USERNS) for each in found}


def test_an_unguarded_entry_goes_when_it_is_named(enforced: Enforced, instance: Instance) -> None:
    """Nothing else tells which entries had held the file."""
    fd = enforced.open_file(authority=False)
    enforced.guard(instance, fd, name("a", 5))

    enforced.guarding.release(instance, fd, [5])

    assert {} == enforced.kernel.known_entries


def test_what_is_released_stays_guarded_until_it_is_closed(enforced: Enforced, instance: Instance) -> None:
    """It has its classes, and its entry is nobody's."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    before = enforced.set_of(instance, fd)

    enforced.guarding.release(instance, fd)
    enforced.clear()

    assert before == enforced.set_of(instance, fd)
    assert ({}, [before]) == (enforced.kernel.known_entries, list(enforced.kernel.sets))

    gone(enforced, instance, fd)
    assert ({}, {}, 0) == (enforced.kernel.sets, enforced.kernel.classes, len(enforced.book))


def test_policies_change_for_what_is_released(enforced: Enforced, instance: Instance) -> None:
    """It is judged by those in force, under its last names."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    made = enforced.set_of(instance, fd)
    assert made is not None
    enforced.guarding.release(instance, fd)

    enforced.adopt(POLICY.replace("web/**", "db/**"))

    assert {
        Key(Table.TERMS, number) for number in enforced.kernel.sets[made].classes
    } <= enforced.kernel.rows.keys()


def test_what_was_received_and_not_kept_can_go_anywhere(enforced: Enforced, instance: Instance) -> None:
    """A stash that was refused."""
    fd = enforced.open_file()
    enforced.kernel.tag(fd, instance.number, NO_CLASSES)

    enforced.guarding.release(instance, fd)

    assert None is enforced.set_of(instance, fd)


def test_what_is_released_again_and_again(enforced: Enforced, instance: Instance) -> None:
    """Is looked for now and then, as it counts until it is found to be closed."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))

    for _ in range(guarding.SWEEP_AFTER):
        enforced.guarding.release(instance, fd)

    assert 1 == enforced.sweeps


def test_what_was_never_guarded_can_be_released(enforced: Enforced, instance: Instance) -> None:
    """A server says so of everything that it received and did not keep."""
    enforced.guarding.release(instance, enforced.open_file())
    enforced.kernel.tag_error = errno.EPERM

    enforced.guarding.release(instance, enforced.open_file(authority=False))

    assert {} == enforced.kernel.sets


def test_an_entry_that_holds_another_file_now_stays(enforced: Enforced, instance: Instance) -> None:
    """Replacing what is in an entry releases the former file after the new one is guarded."""
    former, fd = enforced.open_file(), enforced.open_file()
    enforced.guard(instance, former, name("a", 5))
    enforced.guard(instance, fd, name("a", 5))

    enforced.guarding.release(instance, former)

    assert enforced.set_of(instance, fd) == enforced.kernel.known_entries[instance.device, 5]


@pytest.mark.parametrize(
    ("code", "why"),
    [(errno.EMLINK, "too-many-instances"), (errno.ENOSPC, "no-room"), (errno.EPERM, "authority")],
)
def test_why_a_tag_is_refused(enforced: Enforced, instance: Instance, code: int, why: str) -> None:
    """What the kernel refuses is told, and nothing is left behind."""
    enforced.kernel.tag_error = code

    outcome = enforced.guard(instance, enforced.open_file(), name("a", 5))
    enforced.clear()

    assert (False, why) == (outcome.guarded, outcome.why)
    assert ({}, {}) == (enforced.kernel.sets, enforced.kernel.classes)


def test_more_stashers_than_fit(enforced: Enforced, instance: Instance) -> None:
    """The names that there were stay in force."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    before = enforced.set_of(instance, fd)

    outcome = enforced.guard(instance, fd, *(name(f"n{uid}", uid, uid) for uid in range(996, 1001)))

    assert (False, "too-many-names") == (outcome.guarded, outcome.why)
    assert before == enforced.set_of(instance, fd)


def test_full_rows_are_given_more_room(enforced: Enforced, instance: Instance) -> None:
    """The same generation is published anew."""
    enforced.kernel.room = len(enforced.kernel.rows)

    assert enforced.guard(instance, enforced.open_file(), name("a", 5)).guarded
    assert ["publish 1", "publish 1"] == enforced.kernel.log
    assert Key(Table.SET, instance.number) in enforced.kernel.rows


def test_one_user_cannot_use_up_all_room(
    enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has as much as a user may have gets no more, until some of it is found to be closed."""
    monkeypatch.setattr(enforced.guarding, "_room", Room(1, 10))
    kept, unguarded = enforced.open_file(), enforced.open_file(authority=False)
    enforced.guard(instance, kept, name("a", 5))

    assert "no-room" == enforced.guard(instance, enforced.open_file(), name("b", 6)).why
    assert "no-room" == enforced.guard(instance, unguarded, name("c", 7)).why
    assert 2 == enforced.sweeps
    enforced.guarding.release(instance, kept)
    assert "no-room" == enforced.guard(instance, enforced.open_file(), name("b", 6)).why
    gone(enforced, instance, kept)
    assert enforced.guard(instance, enforced.open_file(), name("b", 6)).guarded


def test_names_take_room(enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever numbers a server gives, each is a row in a table that all share."""
    monkeypatch.setattr(enforced.guarding, "_room", Room(3, 10))
    fd = enforced.open_file()

    assert "no-room" == enforced.guard(instance, fd, *(name(f"n{i}", i) for i in range(4))).why
    assert enforced.guard(instance, fd, *(name(f"n{i}", i) for i in range(3))).guarded
    assert 3 == len(enforced.kernel.known_entries)


def test_stashers_take_room(enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has classes of his own."""
    monkeypatch.setattr(enforced.guarding, "_room", Room(2, 10))
    names = [name("a", 5), name("a", 5, 1001), name("a", 5, 1002)]

    assert "no-room" == enforced.guard(instance, enforced.open_file(), *names).why
    assert enforced.guard(instance, enforced.open_file(), *names[:2]).guarded


def test_all_room_comes_back(enforced: Enforced, instance: Instance) -> None:
    """What an instance had, when nothing of it is left."""
    room = enforced.guarding._room
    kept, unguarded = enforced.open_file(), enforced.open_file(authority=False)
    enforced.guard(instance, kept, name("a", 5), name("b", 6))
    enforced.guard(instance, unguarded, name("c", 7), name("d", 8))
    assert Cost(4, 2) == room.used(instance.payer)

    enforced.guarding.release(instance, unguarded, [7, 7, 9])
    assert Cost(3, 2) == room.used(instance.payer)
    enforced.guarding.end_entries(instance)
    assert Cost(0, 2) == room.used(instance.payer)
    gone(enforced, instance, kept)

    assert Cost() == room.used(instance.payer)
    assert {} == enforced.kernel.known_entries


def test_a_full_table_of_entries_is_no_room(
    enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The enforcer is still there, and says so."""

    def fail(*_arguments: object) -> None:
        raise KernelError("update", "cannot", where="entries", why="full", hint="end some")

    monkeypatch.setattr(enforced.kernel, "put_entry", fail)

    assert "no-room" == enforced.guard(instance, enforced.open_file(), name("a", 5)).why
    assert "no-room" == enforced.guard(instance, enforced.open_file(authority=False), name("b", 6)).why


def test_what_goes_twice_goes_once(enforced: Enforced, instance: Instance) -> None:
    """And nothing keeps others from being cleared."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    made = enforced.set_of(instance, fd)
    assert made is not None
    enforced.kernel.tags.clear()

    enforced.guarding.retire_all([made, made], instance)
    enforced.clear()

    assert ({}, Cost()) == (enforced.kernel.sets, enforced.guarding._room.used(instance.payer))


def test_what_cannot_be_cleared_holds_nothing_up(
    enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is another time for the rest."""
    times: list[float] = []
    monkeypatch.setattr(enforced.guarding, "_clear_at", times.append)
    for number in (5, 6):
        fd = enforced.open_file()
        enforced.guard(instance, fd, name("a", number))
        made = enforced.set_of(instance, fd)
        assert made is not None
        del enforced.kernel.tags[os.fstat(fd).st_ino]
        enforced.guarding.retire_all([made], instance)

    def fail(_number: int) -> None:
        raise KernelError("update", "cannot", where="class sets", why="broken", hint="mend it")

    with monkeypatch.context() as broken:
        broken.setattr(enforced.kernel, "remove_class_set", fail)
        with pytest.raises(KernelError):
            enforced.clear()

    assert 2 == len(times)
    enforced.clear()
    assert 1 == len(enforced.kernel.sets)


def test_a_reload_keeps_numbers(enforced: Enforced, instance: Instance) -> None:
    """Every class has its rows in the new generation before that is in force."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("web/a", 5))
    made = enforced.set_of(instance, fd)
    assert made is not None

    enforced.adopt(POLICY.replace("web/**", "db/**"))

    assert made == enforced.set_of(instance, fd)
    assert {
        Key(Table.TERMS, number) for number in enforced.kernel.sets[made].classes
    } <= enforced.kernel.rows.keys()


def test_time_is_given_to_decisions_under_way(
    enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that is tagged no more stays for a while."""
    now: Callable[[], float] = lambda: 100.0  # noqa: E731
    monkeypatch.setattr(guarding.time, "monotonic", now)
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    enforced.guard(instance, fd, name("b", 5))

    enforced.guarding.clear(100.5)
    assert 2 == len(enforced.kernel.sets)
    enforced.guarding.clear(101.5)
    assert 1 == len(enforced.kernel.sets)
