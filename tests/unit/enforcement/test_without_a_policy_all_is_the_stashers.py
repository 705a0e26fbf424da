"""The built-in default: who stashed an entry may do everything with it, everybody else nothing, not even know."""

from collections.abc import Callable

import pytest

from fdstorefs.errors import Denied, NoSuchEntry, NotPermitted
from tests.unit.enforcement.governed import ADA, Governed, User, in_child

EVERYTHING: list[Callable[[Governed, User], object]] = [
    lambda g, u: g.store.retrieve_many(u.subject, ["x"]),
    lambda g, u: g.stash(u, "x"),
    lambda g, u: g.rename(u, "x", "z"),
    lambda g, u: g.link(u, "z", "x"),
    lambda g, u: g.stash(u, "e"),
    lambda g, u: g.store.set_label(u.subject, g.store.root.children["e"], "l"),  # type: ignore[arg-type]
    lambda g, u: g.store.set_mode(u.subject, g.store.root.children["e"], 0o666),
    lambda g, u: g.rename(u, "box", "bin"),
    lambda g, u: g.store.take_many(u.subject, ["bin/y"]),
    lambda g, u: g.store.seal(u.subject, g.store.root.children["bin"]),  # type: ignore[arg-type]
    lambda g, u: g.store.seal(u.subject, g.store.root.children["bin"], sealed=False),  # type: ignore[arg-type]
    lambda g, u: g.store.remove_box(u.subject, g.store.locate(u.subject, "bin")),
    lambda g, u: g.store.discard_many(u.subject, ["x", "z", "e"]),
]


def furnished(user: User) -> Governed:
    """A store in which `x`, the empty `e`, a box and `box/y` are a user's."""
    governed = Governed()
    governed.stash(user, "x")
    governed.create(user, "e")
    governed.make_box(user, "box")
    governed.stash(user, "box/y")
    return governed


@pytest.mark.parametrize("userns", [(1,), (2, 1)])
def test_the_stasher_may_do_everything(userns: tuple[int, ...]) -> None:
    """From whatever user namespace, as long as it is the same one."""
    user = User(ADA, userns)
    governed = furnished(user)
    for operation in EVERYTHING:
        operation(governed, user)

    assert [] == governed.shown(user)
    assert {"allow"} == {verdict for _, _, verdict, _ in governed.noted()}


@pytest.mark.parametrize("who", ["another user", "root", "below", "unknown"])
def test_everybody_else_may_not_even_know(who: str, ada: User, bob: User) -> None:
    """Neither another user, nor root, nor the same uid in a user namespace below."""
    other = {
        "another user": bob,
        "root": User(0, capabilities=(1 << 41) - 1),
        "below": in_child(ada),
        "unknown": User(ADA, known=False),
    }[who]
    governed = furnished(ada)
    names = dict(governed.store.root.children)

    assert [] == governed.shown(other)
    for operation in EVERYTHING:
        with pytest.raises((NoSuchEntry, Denied, NotPermitted, KeyError)):
            operation(governed, other)
    for name in ("x", "e", "box"):
        with pytest.raises(Denied):
            governed.create(other, name)
    assert names == governed.store.root.children


def test_a_box_is_no_way_to_bring_others_things_away(ada: User, bob: User) -> None:
    """Bob's entry in ada's box keeps the box where it is; the box shows him nothing either."""
    governed = furnished(ada)
    box = governed.store.root.children["box"]
    governed.store.create(bob.subject, box, "his", 0o666, bob.stasher)  # type: ignore[arg-type]  # through a handle

    with pytest.raises(Denied):
        governed.rename(ada, "box", "bin")
    assert [] == governed.shown(bob)
    assert ["box", "box/y", "e", "x"] == governed.shown(ada)
