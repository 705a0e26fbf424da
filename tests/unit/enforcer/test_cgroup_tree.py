"""Cgroups are known from the moment they are told of, and forgotten when they go."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.enforcer import cgroup_owners
from fdstorefs.enforcer.cgroup_tree import CgroupTree


class Told:
    """What a tree says of a directory that stands for the hierarchy."""

    def __init__(self, top: Path, most: int = 1000, most_of_one: int = 1000) -> None:
        self.top = top
        self.news: list[str] = []
        self.gone: list[int] = []
        self.tree = CgroupTree(
            str(top), lambda _number, path: self.news.append(path), self.gone.append, most, most_of_one
        )

    def number(self, path: str) -> int:
        """The number that a cgroup must have."""
        return (self.top / path).stat().st_ino


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """A hierarchy with two cgroups, one in the other."""
    (tmp_path / "a.slice" / "b.service").mkdir(parents=True)
    made = Told(tmp_path)
    yield made
    made.tree.close()


def test_what_is_there_is_known(told: Told) -> None:
    """By number and path, the root included."""
    expected = {told.number(""): "/", told.number("a.slice"): "/a.slice"}

    assert expected | {told.number("a.slice/b.service"): "/a.slice/b.service"} == told.tree.known
    assert ["/", "/a.slice", "/a.slice/b.service"] == sorted(told.news)


def test_a_new_one_is_told_of_with_all_below_it(told: Told) -> None:
    """Also what was made in it before it was watched."""
    told.news.clear()
    (told.top / "c" / "d" / "e").mkdir(parents=True)

    told.tree.catch_up()

    assert ["/c", "/c/d", "/c/d/e"] == sorted(told.news)


def test_one_inside_a_new_one_is_told_of_later(told: Told) -> None:
    """New cgroups are watched like those that were there."""
    (told.top / "c").mkdir()
    told.tree.catch_up()
    told.news.clear()

    (told.top / "c" / "d").mkdir()
    told.tree.catch_up()

    assert ["/c/d"] == told.news


def test_one_that_goes_is_forgotten(told: Told) -> None:
    """Its number is nobody's any more."""
    number = told.number("a.slice/b.service")
    (told.top / "a.slice" / "b.service").rmdir()

    told.tree.catch_up()

    assert number not in told.tree.known
    assert [number] == told.gone


def test_one_that_is_made_anew_has_its_new_number(told: Told) -> None:
    """Even if nothing was read in between."""
    (told.top / "a.slice" / "b.service").rmdir()
    (told.top / "a.slice" / "x").mkdir()  # keeps the file system from giving the number out again
    (told.top / "a.slice" / "b.service").mkdir()

    told.tree.catch_up()

    assert "/a.slice/b.service" == told.tree.known[told.number("a.slice/b.service")]


def test_files_are_no_cgroups(told: Told) -> None:
    """Nor is what links lead to."""
    told.news.clear()
    (told.top / "cgroup.procs").write_text("")
    (told.top / "link").symlink_to(told.top / "a.slice")

    told.tree.look_again()

    assert [] == told.news


def test_looking_again_finds_what_was_missed(told: Told) -> None:
    """Without a word from the kernel, both what came and what went."""
    told.news.clear()
    gone = told.number("a.slice/b.service")
    (told.top / "late").mkdir()
    (told.top / "a.slice" / "b.service").rmdir()

    told.tree.look_again()

    assert ["/late"] == told.news
    assert [gone] == told.gone


def test_a_name_may_be_anything(told: Told) -> None:
    """Newlines and bytes that are no text are kept as they are."""
    name = b"new\nline \xff"
    (Path(str(told.top)) / name.decode(errors="surrogateescape")).mkdir()

    told.tree.catch_up()

    assert "/new\nline \udcff" in told.tree.known.values()


def test_very_deep_ones_are_no_trouble(told: Told, make_deep: Callable[[Path, str, int], None]) -> None:
    """What is deeper than a path can say is left out; the rest is known."""
    make_deep(told.top / "a.slice", "d" * 250, 20)

    told.tree.catch_up()

    assert 13 < len(told.tree.known) < 20


def test_there_is_a_bound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes more than can be followed is told of in the log, once."""
    for name in "abcdef":
        (tmp_path / name).mkdir()
    with caplog.at_level(logging.ERROR):
        told = Told(tmp_path, most=4)

    told.tree.close()
    assert 4 == len(told.tree.known)
    assert 1 == len(caplog.records)


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Who owns a directory, by its name; the others are root's."""
    found: dict[str, int] = {}
    monkeypatch.setattr(
        cgroup_owners, "owner_of", lambda directory: found.get(os.path.basename(directory), 0)
    )
    return found


@pytest.fixture
def bounded(tmp_path: Path, owners: dict[str, int]) -> Iterator[Told]:
    """A hierarchy in which `alice` is one user's, `bob` another's, and each may have three cgroups."""
    owners |= {"alice": 1000, "bob": 1001}
    for path in ("alice", "bob", "system"):
        (tmp_path / path).mkdir()
    made = Told(tmp_path, most_of_one=3)
    yield made
    made.tree.close()


def make(told: Told, *paths: str) -> list[str]:
    """Make cgroups; those that are known then, of these."""
    for path in paths:
        (told.top / path).mkdir()
    told.tree.catch_up()
    return [path for path in paths if f"/{path}" in told.tree.known.values()]


def test_nobody_uses_up_the_room_of_others(bounded: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Each user has his share, root has no bound, and the log says once whose cgroups are not followed."""
    assert ["alice/a", "alice/b"] == sorted(make(bounded, "alice/a", "alice/b", "alice/c", "alice/d"))[:2]
    assert ["bob/a", "bob/a/b"] == make(bounded, "bob/a", "bob/a/b")
    assert 5 == len(make(bounded, *(f"system/{name}" for name in "abcde")))
    assert 3 == len([path for path in bounded.tree.known.values() if path.startswith("/alice")])
    assert ["uid 1000 has more than the 3"] == [
        record.getMessage()[9:37] for record in caplog.records if record.levelno == logging.ERROR
    ]


def test_whose_the_part_of_the_tree_is_pays(bounded: Told, owners: dict[str, int]) -> None:
    """To whomever he gives what he makes in it: he may have many uids, root's of a namespace among them."""
    owners |= {"b": 100_000, "c": 100_001, "d": 0}

    assert ["alice/b", "alice/c"] == make(bounded, "alice/b", "alice/c", "alice/d")


def test_what_is_given_away_later_is_found_out(bounded: Told, owners: dict[str, int]) -> None:
    """When something is made in it."""
    make(bounded, "carol")
    owners |= {"carol": 1002, "b": 100_000, "c": 100_001}

    assert ["carol/a", "carol/b"] == make(bounded, "carol/a", "carol/b", "carol/c")


def test_there_is_room_again_when_some_have_gone(bounded: Told) -> None:
    """Whether the kernel has told of it or not."""
    make(bounded, "alice/a", "alice/b", "alice/c")
    (bounded.top / "alice/b").rmdir()
    bounded.tree.catch_up()
    assert ["alice/d"] == make(bounded, "alice/d")

    (bounded.top / "alice/d").rmdir()
    (bounded.top / "alice/c").rmdir()
    bounded.tree.look_again()
    bounded.tree.catch_up()

    assert ["alice/e"] == make(bounded, "alice/e", "alice/f")
