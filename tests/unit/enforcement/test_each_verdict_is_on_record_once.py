"""Each request is on record with exactly the verdicts that it took."""

from collections.abc import Callable

import pytest

from fdstorefs.core.limits import Limits
from fdstorefs.core.node import Box
from fdstorefs.errors import Busy, Denied, NotPermitted, QuotaExceeded, StoreError
from tests.unit.enforcement.governed import ALL, Governed, Noted, User, policy

Operation = Callable[[Governed, User], object]


def without(action: str) -> str:
    """A policy that forbids one action."""
    return policy(ALL, f"forbid actions: [{action}]")


def prepared(*texts: str) -> Governed:
    """A store with `x`, the empty `e` and a box with `box/y`, all ada's; what that took is not on record."""
    governed, ada = Governed(policy(ALL)), User(1000)
    governed.stash(ada, "x")
    governed.make_box(ada, "box")
    governed.stash(ada, "box/y")
    governed.create(ada, "e")
    governed.adopt(*texts)
    governed.noted()
    return governed


def _box(governed: Governed) -> Box:
    box = governed.store.root.children["box"]
    assert isinstance(box, Box)
    return box


def _empty_and_remove_box(governed: Governed, user: User) -> None:
    governed.store.take_many(user.subject, ["box/y"])
    governed.store.remove_box(user.subject, governed.store.locate(user.subject, "box"))


def _attempt(operation: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(StoreError):
        operation(*arguments)


ALLOWED: dict[str, tuple[Operation, list[Noted]]] = {
    "retrieve": (
        lambda g, u: g.store.retrieve_many(u.subject, ["x"]),
        [("retrieve", "x", "allow", "rule")],
    ),
    "retrieve below": (
        lambda g, u: g.store.retrieve_many(u.subject, ["box/y"]),
        [("retrieve", "box/y", "allow", "rule")],
    ),
    "take": (lambda g, u: g.store.take_many(u.subject, ["x"]), [("take", "x", "allow", "rule")]),
    "stash": (lambda g, u: g.stash(u, "new"), [("stash", "new", "allow", "rule")]),
    "replace": (
        lambda g, u: g.stash(u, "x"),
        [("stash", "x", "allow", "rule"), ("discard", "x", "allow", "rule")],
    ),
    "fill": (lambda g, u: g.stash(u, "e"), [("stash", "e", "allow", "rule")]),
    "create": (lambda g, u: g.create(u, "new"), [("stash", "new", "allow", "rule")]),
    "make box": (lambda g, u: g.make_box(u, "new"), [("stash", "new", "allow", "rule")]),
    "remove box": (
        _empty_and_remove_box,
        [("take", "box/y", "allow", "rule"), ("discard", "box", "allow", "rule")],
    ),
    "discard": (
        lambda g, u: g.store.discard_many(u.subject, ["x"]),
        [("discard", "x", "allow", "rule")],
    ),
    "rename": (
        lambda g, u: g.rename(u, "x", "z"),
        [("rename", "x", "allow", "rule"), ("stash", "z", "allow", "rule")],
    ),
    "rename onto another": (
        lambda g, u: g.rename(u, "x", "e"),
        [
            ("rename", "x", "allow", "rule"),
            ("discard", "e", "allow", "rule"),
            ("stash", "e", "allow", "rule"),
        ],
    ),
    "rename a box": (
        lambda g, u: g.rename(u, "box", "z"),
        [("rename", "box", "allow", "rule"), ("stash", "z", "allow", "rule")],
    ),
    "link": (
        lambda g, u: g.link(u, "x", "z"),
        [("link", "x", "allow", "rule"), ("stash", "z", "allow", "rule")],
    ),
    "seal": (lambda g, u: g.store.seal(u.subject, _box(g)), [("seal", "box", "allow", "rule")]),
    "chmod": (
        lambda g, u: g.store.set_mode(u.subject, g.store.root.children["x"], 0o600),
        [("stash", "x", "allow", "rule")],
    ),
    "label": (
        lambda g, u: g.store.set_label(u.subject, g.store.root.children["x"], "l"),  # type: ignore[arg-type]
        [("stash", "x", "allow", "rule"), ("stash", "x", "allow", "rule")],
    ),
    "lookup": (lambda g, u: g.store.lookup(u.subject, g.store.root, "x"), []),
    "list": (lambda g, u: g.shown(u), []),
    "readdir": (lambda g, u: g.store.names(u.subject, g.store.root), []),
    "what isn't there": (lambda g, u: _attempt(g.store.retrieve_many, u.subject, ["none"]), []),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed(what: str, ada: User) -> None:
    """One record for each action that it is made of; what is only looked at leaves none."""
    operation, expected = ALLOWED[what]
    governed = prepared(policy(ALL))
    operation(governed, ada)

    assert expected == governed.noted()


@pytest.mark.parametrize(
    ("action", "what", "name"),
    [
        ("retrieve", "retrieve", "x"),
        ("take", "take", "x"),
        ("stash", "stash", "new"),
        ("stash", "fill", "e"),
        ("stash", "create", "new"),
        ("stash", "make box", "new"),
        ("stash", "chmod", "x"),
        ("stash", "label", "x"),
        ("discard", "discard", "x"),
        ("rename", "rename", "x"),
        ("rename", "rename a box", "box"),
        ("link", "link", "x"),
        ("seal", "seal", "box"),
    ],
)
def test_what_policy_denies(action: str, what: str, name: str, ada: User) -> None:
    """One record of the denial, which the error names, and nothing after it."""
    governed = prepared(without(action))
    with pytest.raises(Denied) as told:
        ALLOWED[what][0](governed, ada)

    assert told.value.decision == f"run-{governed.log.decisions[-1].number}"
    assert [(action, name, "deny", "forbidden")] == governed.noted()


def test_what_is_implied_is_on_record_too(ada: User) -> None:
    """A stash that may not discard what it would replace: the stash was allowed, the rest wasn't."""
    governed = prepared(without("discard"))
    with pytest.raises(Denied):
        governed.stash(ada, "x")

    assert [("stash", "x", "allow", "rule"), ("discard", "x", "deny", "forbidden")] == governed.noted()


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda g, u: g.store.retrieve_many(u.subject, ["x"]), ("retrieve", "x", "deny", "mode-bits")),
        (lambda g, u: g.store.take_many(u.subject, ["x"]), ("take", "x", "deny", "mode-bits")),
        (lambda g, u: g.stash(u, "new"), ("stash", "new", "deny", "mode-bits")),
        (lambda g, u: g.create(u, "new"), ("stash", "new", "deny", "mode-bits")),
        (lambda g, u: g.stash(u, "x"), ("stash", "x", "deny", "mode-bits")),
        (lambda g, u: g.rename(u, "x", "new"), ("rename", "x", "deny", "mode-bits")),
        (lambda g, u: g.store.seal(u.subject, _box(g)), ("seal", "box", "deny", "mode-bits")),
        (
            lambda g, u: g.store.set_owner(u.subject, g.store.root.children["x"], 7, None),
            ("stash", "x", "deny", "mode-bits"),
        ),
    ],
)
def test_what_mode_bits_refuse(operation: Operation, expected: Noted, bob: User) -> None:
    """One record, without a verdict of the policy, which isn't asked."""
    governed = prepared(policy(ALL))
    governed.store.root.mode = 0o755
    governed.store.root.children["x"].mode = 0o600
    with pytest.raises((Denied, NotPermitted)) as told:
        operation(governed, bob)

    assert "mode-bits" == told.value.reason
    assert [expected] == governed.noted()


SEALED: list[tuple[Operation, Noted]] = [
    (lambda g, u: g.store.retrieve_many(u.subject, ["box/y"]), ("retrieve", "box/y", "deny", "mode-bits")),
    (lambda g, u: g.store.take_many(u.subject, ["box/y"]), ("take", "box/y", "deny", "mode-bits")),
    (lambda g, u: g.store.discard_many(u.subject, ["box/y"]), ("discard", "box/y", "deny", "mode-bits")),
    (lambda g, u: g.stash(u, "box/y"), ("stash", "box/y", "deny", "mode-bits")),
    (lambda g, u: g.stash(u, "box/new"), ("stash", "box/new", "deny", "mode-bits")),
    (
        lambda g, u: g.store.fill(u.subject, _box(g).children["y"], g.files(), u.stasher),  # type: ignore[arg-type]
        ("stash", "box/y", "deny", "mode-bits"),
    ),
    (lambda g, u: g.create(u, "box/new"), ("stash", "box/new", "deny", "mode-bits")),
    (lambda g, u: g.make_box(u, "box/new"), ("stash", "box/new", "deny", "mode-bits")),
    (
        lambda g, u: g.store.remove_box(u.subject, g.store.locate(u.subject, "box")),
        ("discard", "box", "deny", "mode-bits"),
    ),
    (lambda g, u: g.rename(u, "box/y", "z"), ("rename", "box/y", "deny", "mode-bits")),
    (lambda g, u: g.rename(u, "x", "box/z"), ("rename", "x", "deny", "mode-bits")),
    (lambda g, u: g.rename(u, "box", "z"), ("rename", "box", "deny", "mode-bits")),
    (lambda g, u: g.rename(u, "empty", "box"), ("rename", "empty", "deny", "mode-bits")),
    (lambda g, u: g.link(u, "box/y", "z"), ("link", "box/y", "deny", "mode-bits")),
    (lambda g, u: g.link(u, "x", "box/z"), ("stash", "box/z", "deny", "mode-bits")),
    (
        lambda g, u: g.store.set_mode(u.subject, _box(g).children["y"], 0o600),
        ("stash", "box/y", "deny", "mode-bits"),
    ),
    (
        lambda g, u: g.store.set_owner(u.subject, _box(g).children["y"], None, u.uid),
        ("stash", "box/y", "deny", "mode-bits"),
    ),
    (
        lambda g, u: g.store.set_label(u.subject, _box(g).children["y"], "l"),  # type: ignore[arg-type]
        ("stash", "box/y", "deny", "mode-bits"),
    ),
]


@pytest.mark.parametrize(("operation", "expected"), SEALED)
def test_what_a_seal_refuses(operation: Operation, expected: Noted, ada: User) -> None:
    """One record, of a denial that the error names; nothing says that it was allowed."""
    governed = prepared(policy(ALL))
    governed.make_box(ada, "empty")
    governed.store.seal(ada.subject, _box(governed))
    governed.noted()
    with pytest.raises(Busy) as told:
        operation(governed, ada)

    assert told.value.decision == f"run-{governed.log.decisions[-1].number}"
    assert [expected] == governed.noted()


@pytest.mark.parametrize("what", ["stash", "create", "make box"])
@pytest.mark.parametrize("limits", [Limits(entries=1), Limits(entries_per_uid=1), Limits(entries_per_box=1)])
def test_what_limits_refuse(what: str, limits: Limits, ada: User) -> None:
    """A denial for a reason of its own, and the error stays the one that programs know."""
    governed = Governed(policy(ALL), limits=limits)
    governed.stash(ada, "x")
    governed.noted()
    with pytest.raises(QuotaExceeded) as told:
        ALLOWED[what][0](governed, ada)

    assert ("limit", f"run-{governed.log.decisions[-1].number}") == (told.value.reason, told.value.decision)
    assert [("stash", "new", "deny", "limit")] == governed.noted()


@pytest.mark.parametrize("what", ["create", "make box"])
def test_whoever_may_not_stash_is_not_told_of_limits(what: str, ada: User) -> None:
    """The policy's denial, as if there were room."""
    governed = Governed(policy(ALL), limits=Limits(entries=1))
    governed.stash(ada, "x")
    governed.adopt(without("stash"))
    governed.noted()
    with pytest.raises(Denied):
        ALLOWED[what][0](governed, ada)

    assert [("stash", "new", "deny", "forbidden")] == governed.noted()


def test_many_that_have_no_room_together_are_one_denial(ada: User) -> None:
    """Each alone would have had room; the message doesn't count what others have."""
    governed = Governed(policy(ALL), limits=Limits(entries=2))
    governed.stash(ada, "x")
    targets = [governed.store.check_stash(ada.subject, name) for name in ("a", "b")]
    governed.noted()
    with pytest.raises(QuotaExceeded) as told:
        governed.store.require_room(ada.subject, targets)

    assert "the store has no room for 2 more entries: it may hold 2" == told.value.message
    assert [("stash", "b", "deny", "limit")] == governed.noted()


def test_a_monitoring_policy_has_its_say_on_record_once(ada: User) -> None:
    """It is allowed, with the verdict that would have been."""
    governed = prepared(policy(ALL), policy("forbid actions: [retrieve]", mode="monitor"))
    governed.store.retrieve_many(ada.subject, ["x"])
    decided = [decision.decided for decision in governed.log.decisions]

    assert [False] == decided
    assert [("retrieve", "x", "allow", "forbidden")] == governed.noted()


def test_what_a_monitoring_policy_would_hide_is_on_record_once(ada: User) -> None:
    """A policy that would allow nothing: one record of what was asked, not one more for knowing of it."""
    governed = prepared(policy(ALL), policy("forbid actions: [all]", mode="monitor"))
    governed.store.retrieve_many(ada.subject, ["x"])
    governed.store.lookup(ada.subject, governed.store.root, "x")

    assert [
        ("retrieve", "x", "allow", "forbidden"),
        ("list", "x", "allow", "hidden"),
    ] == governed.noted()
