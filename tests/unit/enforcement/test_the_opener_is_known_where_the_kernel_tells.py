"""Where the kernel enforces the policy it has told who opened each file, and verdicts and records know it."""

import pytest

from fdstorefs.audit.decision import Opener as Noted
from fdstorefs.core.node import Opener, OpenFile
from fdstorefs.errors import Denied, NotGuarded, TooManyNames
from tests.unit.core.knowing_guard import KnowingGuard
from tests.unit.enforcement.governed import ADA, ALL, BOB, INSTANCE, Governed, User, policy

SAME_OPENER = policy("allow actions: [all], opener: {uid: same}", ALL.replace("[all]", "[list, describe]"))
GUARDED_ONLY = policy("allow actions: [all], guarded: true")


class Telling(KnowingGuard):
    """Says who opened what is to be guarded, and whether it can be."""

    opener = Opener(ADA, ADA, 0, INSTANCE)
    guards = True

    def require(self, coming: dict[OpenFile, list]) -> None:  # type: ignore[override, type-arg]
        """As any guard, but for what it says."""
        super().require(coming)
        for file in coming:
            file.opener, file.guarded = self.opener, self.guards


def guarded_by(governed: Governed) -> Telling:
    """Give a store a guard."""
    governed.store.guard = guard = Telling(governed.store)
    return guard


def test_a_rule_may_ask_who_opened_it(ada: User, bob: User) -> None:
    """Also about the stash itself, of what nobody has seen before."""
    governed = Governed(SAME_OPENER)
    guarded_by(governed)
    governed.stash(ada, "x")

    with pytest.raises(Denied):
        governed.stash(bob, "y")
    with pytest.raises(Denied):
        governed.store.retrieve_many(bob.subject, ["x"])
    assert 1 == len(governed.store.retrieve_many(ada.subject, ["x"]))


def test_without_a_guard_nobody_is_known(ada: User) -> None:
    """What is not known is never permission."""
    with pytest.raises(Denied):
        Governed(SAME_OPENER).stash(ada, "x")


def test_an_opener_without_a_number_here_is_not_known(ada: User) -> None:
    """He may be anybody."""
    governed = Governed(SAME_OPENER)
    guarded_by(governed).opener = Opener(None, None, 0, INSTANCE)

    with pytest.raises(Denied):
        governed.stash(ada, "x")


@pytest.mark.parametrize("guards", [True, False])
def test_a_policy_may_insist_on_guarded_files(ada: User, guards: bool) -> None:
    """It is known before the verdict whether the kernel can guard the file."""
    governed = Governed(GUARDED_ONLY)
    guarded_by(governed).guards = guards

    if guards:
        governed.stash(ada, "x")
    else:
        with pytest.raises(Denied):
            governed.stash(ada, "x")
    assert guards is ("x" in governed.store.root.children)


def test_records_name_the_opener(ada: User) -> None:
    """And do not say that he was assumed."""
    governed = Governed(policy(ALL))
    guarded_by(governed).opener = Opener(BOB, BOB, 5, INSTANCE)
    governed.stash(ada, "x")
    governed.store.retrieve_many(ada.subject, ["x"])

    assert [("stash", Noted(BOB, BOB, 5, INSTANCE)), ("retrieve", Noted(BOB, BOB, 5, INSTANCE))] == [
        (one.action, one.opener) for one in governed.log.decisions
    ]


def test_the_stasher_stands_for_nobody_who_is_known(ada: User, bob: User) -> None:
    """A policy that would assume him has no need to."""
    governed = Governed(SAME_OPENER.replace("mode:", "opener-unknown: assume-stasher\nmode:"))
    guarded_by(governed).opener = Opener(BOB, BOB, 0, INSTANCE)

    with pytest.raises(Denied):
        governed.stash(ada, "x")
    governed.stash(bob, "y")
    assert [(False, BOB), (False, BOB)] == [
        (one.opener.assumed, one.opener.uid) for one in governed.log.decisions if one.opener is not None
    ]


@pytest.mark.parametrize(
    ("error", "reason"), [(NotGuarded("no"), "error"), (TooManyNames("too many"), "limit")]
)
def test_what_the_guard_refuses_is_on_record_as_denied(ada: User, error: OSError, reason: str) -> None:
    """Once, with the entry that it was about, and the client can name the record."""
    governed = Governed(policy(ALL))
    guard = guarded_by(governed)

    def refuse(_coming: object) -> None:
        raise error

    guard.require = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(type(error)) as raised:
        governed.stash(ada, "x")

    assert [("stash", "x", "deny", reason)] == governed.noted()
    assert "run-1" == raised.value.decision  # type: ignore[attr-defined]


def test_what_is_not_enforced_is_denied_and_on_record(ada: User) -> None:
    """There is no record that it was allowed."""
    governed = Governed(policy(ALL))
    guard = guarded_by(governed)
    governed.stash(ada, "x")
    governed.noted()
    guard.delivers = False

    with pytest.raises(NotGuarded):
        governed.store.retrieve_many(ada.subject, ["x"])
    assert [("retrieve", "x", "deny", "error")] == governed.noted()
