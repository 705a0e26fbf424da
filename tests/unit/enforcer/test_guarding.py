"""Open files are guarded by all their names, rows before tags, and never less than a moment before."""

import errno
from collections.abc import Callable

import pytest

from fdstorefs.bpf.abi import UNGUARDED, Key, Table
from fdstorefs.enforcer import guarding
from fdstorefs.enforcer.guarding import whole_chain
from fdstorefs.enforcer.instance import Instance
from fdstorefs.errors import QuotaExceeded
from fdstorefs.host.user_database import INITIAL_USER_NAMESPACE
from fdstorefs.policy.request import UNKNOWN
from fdstorefs.server.varlink.shares import Shares
from tests.unit.enforcer.enforced import POLICY, Enforced, name


@pytest.fixture
def instance(enforced: Enforced) -> Instance:
    """An instance."""
    return enforced.admit()


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
    outcome = enforced.guard(instance, enforced.open_file(uid=1234), name("a", 5))

    assert (1234, 0, (7,), 1234) == (
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


def test_without_names_nobody_gets_it(enforced: Enforced, instance: Instance) -> None:
    """It stays tagged, with no classes."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))

    outcome = enforced.guard(instance, fd)

    assert outcome.guarded
    assert 0 == enforced.set_of(instance, fd)
    assert {} == enforced.kernel.known_entries


def test_what_is_not_the_servers_is_not_tagged(enforced: Enforced, instance: Instance) -> None:
    """Its server decides alone who opens it, which the kernel has to know."""
    fd = enforced.open_file(authority=False)

    outcome = enforced.guard(instance, fd, name("a", 5))

    assert (False, "authority") == (outcome.guarded, outcome.why)
    assert None is enforced.set_of(instance, fd)
    assert UNGUARDED == enforced.kernel.known_entries[instance.device, 5]


def test_an_unguarded_entry_goes_when_it_is_named(enforced: Enforced, instance: Instance) -> None:
    """Nothing else tells which entries had held the file."""
    fd = enforced.open_file(authority=False)
    enforced.guard(instance, fd, name("a", 5))

    enforced.guarding.release(instance, fd, [5])

    assert {} == enforced.kernel.known_entries


def test_what_is_released_can_go_anywhere(enforced: Enforced, instance: Instance) -> None:
    """It bears no tag of the instance, and its entry is nobody's."""
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))

    enforced.guarding.release(instance, fd)
    enforced.clear()

    assert None is enforced.set_of(instance, fd)
    assert ({}, {}, 0) == (enforced.kernel.known_entries, enforced.kernel.sets, len(enforced.book))


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

    outcome = enforced.guard(instance, fd, *(name(f"n{uid}", uid, uid) for uid in range(1, 6)))

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
    """Who has as much as a user may have gets no more, until some of it is found to be gone."""
    monkeypatch.setattr(enforced.guarding, "_quota", Shares(1, 10))
    kept, unguarded = enforced.open_file(), enforced.open_file(authority=False)
    enforced.guard(instance, kept, name("a", 5))

    assert "no-room" == enforced.guard(instance, enforced.open_file(), name("b", 6)).why
    with pytest.raises(QuotaExceeded):
        enforced.guard(instance, unguarded, name("c", 7))
    assert 2 == enforced.sweeps
    enforced.guarding.release(instance, kept)
    assert enforced.guard(instance, enforced.open_file(), name("b", 6)).guarded


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


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((5,), (5, INITIAL_USER_NAMESPACE)),
        ((6, 5), (6, 5, INITIAL_USER_NAMESPACE)),
        ((INITIAL_USER_NAMESPACE,), (INITIAL_USER_NAMESPACE,)),
        ((9,), UNKNOWN),
        (None, UNKNOWN),
    ],
    ids=["the instance's own", "below it", "the initial one", "beside it", "not told"],
)
def test_what_is_above_a_namespace(seen: tuple[int, ...] | None, expected: object) -> None:
    """Where something is missing it is unknown, as it could be below anything."""
    assert expected == whole_chain(seen, (5, INITIAL_USER_NAMESPACE))


def test_time_is_given_to_decisions_under_way(
    enforced: Enforced, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that is tagged no more stays for a while."""
    now: Callable[[], float] = lambda: 100.0  # noqa: E731
    monkeypatch.setattr(guarding.time, "monotonic", now)
    fd = enforced.open_file()
    enforced.guard(instance, fd, name("a", 5))
    enforced.guarding.release(instance, fd)

    enforced.guarding.clear(100.5)
    assert 1 == len(enforced.kernel.sets)
    enforced.guarding.clear(101.5)
    assert {} == enforced.kernel.sets
