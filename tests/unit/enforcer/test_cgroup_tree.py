"""Cgroups are known from the moment they are told of, and forgotten when they go."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.enforcer.cgroup_tree import CgroupTree


class Told:
    """What a tree says of a directory that stands for the hierarchy."""

    def __init__(self, top: Path, most: int = 1000) -> None:
        self.top = top
        self.news: list[str] = []
        self.gone: list[int] = []
        self.tree = CgroupTree(str(top), lambda _number, path: self.news.append(path), self.gone.append, most)

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
