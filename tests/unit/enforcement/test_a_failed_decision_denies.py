"""Whatever goes wrong in a decision: it is a denial, and on record as one for that reason."""

from typing import NoReturn

import pytest

from fdstorefs.core.access import Action
from fdstorefs.core.subject import NothingTold, Subject
from fdstorefs.errors import Denied, NoSuchEntry
from fdstorefs.server.enforcement import recorder
from fdstorefs.server.enforcement.judge import Judge
from tests.unit.enforcement.governed import ADA, ALL, Governed, User, policy


@pytest.fixture
def governed(ada: User, monkeypatch: pytest.MonkeyPatch) -> Governed:
    """A store that allows all, with `x`, whose judge has broken down."""
    made = Governed(policy(ALL))
    made.stash(ada, "x")
    made.make_box(ada, "box")
    made.noted()

    def broken(*_arguments: object) -> NoReturn:
        raise LookupError("a table is missing")

    monkeypatch.setattr(Judge, "verdict", broken)
    return made


def test_nothing_is_allowed(governed: Governed, ada: User) -> None:
    """Neither to do nor to know, however it is asked."""
    root = governed.store.root
    subject = ada.subject

    with pytest.raises(Denied, match="the decision failed"):
        governed.stash(ada, "new")
    with pytest.raises(Denied, match="the decision failed"):
        governed.store.retrieve(subject, governed.store.target(root, "x"))
    with pytest.raises(NoSuchEntry):
        governed.store.retrieve_many(subject, ["x"])
    assert not governed.store.may(subject, Action.RETRIEVE, governed.store.target(root, "x"))
    assert [] == governed.shown(ada)
    assert {"x", "box"} == set(root.children)


def test_it_is_on_record_for_what_it_is(
    governed: Governed, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    """And in the server's own log, with what went wrong."""
    with pytest.raises(Denied):
        governed.stash(ada, "new")
    with pytest.raises(NoSuchEntry):
        governed.store.retrieve_many(ada.subject, ["x"])

    assert [("stash", "new", "deny", "error"), ("retrieve", "x", "deny", "error")] == governed.noted()
    assert "a table is missing" in caplog.text


def test_monitoring_does_not_make_up_for_it(governed: Governed, ada: User) -> None:
    """A policy that refuses nothing says nothing if it could not be asked."""
    governed.adopt(policy(ALL, mode="monitor"))

    with pytest.raises(Denied):
        governed.stash(ada, "new")


def test_a_subject_that_cannot_be_looked_up_is_denied(ada: User) -> None:
    """An error of the kernel while its facts are read is no permission."""

    class Unreadable(NothingTold):
        def groups(self) -> NoReturn:
            raise OSError(5, "input/output error")

    governed = Governed(policy(ALL, "forbid actions: [retrieve], subject: {gid: [7]}"))
    governed.stash(ada, "x")
    governed.noted()
    subject = Subject(ADA, ADA, 1, look_up=Unreadable)
    with pytest.raises(Denied):
        governed.store.retrieve_many(subject, ["x"])

    assert [("retrieve", "x", "deny", "error")] == governed.noted()


def test_a_denial_that_cannot_be_explained_stays_one(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on record without what was wanting."""

    def broken(*_arguments: object) -> NoReturn:
        raise LookupError("no words")

    governed = Governed(policy("allow actions: [list]"))
    monkeypatch.setattr(recorder, "shortcomings", broken)
    with pytest.raises(Denied):
        governed.stash(ada, "x")

    assert [("stash", "x", "deny", "no-rule")] == governed.noted()


def test_what_cannot_be_put_on_record_does_not_happen(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that fails stops the request, it doesn't let it through unseen."""

    def broken(*_arguments: object) -> NoReturn:
        raise MemoryError

    governed = Governed(policy(ALL))
    monkeypatch.setattr(governed.log, "verdict", broken)
    with pytest.raises(MemoryError):
        governed.stash(ada, "x")

    assert {} == governed.store.root.children
