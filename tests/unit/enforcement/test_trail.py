"""Trails: every name that is looked up on the way to a path."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.server.enforcement.trail import trail


def below(top: Path, path: Path) -> list[str]:
    """The steps that are in `top` or below, as paths from there."""
    found = (step.path for step in trail(str(path)))
    return [step.removeprefix(f"{top}/") for step in found if step.startswith(f"{top}/")]


def test_every_component_is_a_step(tmp_path: Path) -> None:
    """From the root on, however slashes and dots are put."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()

    assert trail("/")[:1] == ()
    assert below(tmp_path, tmp_path / "a" / "b") == ["a", "a/b"]
    assert below(tmp_path, Path(f"{tmp_path}//a/./../a/b")) == ["a", "a", "a/b"]


def test_links_are_followed_step_by_step(tmp_path: Path) -> None:
    """The link itself, and every name in what it says."""
    (tmp_path / "..1").mkdir()
    (tmp_path / "..1" / "p").touch()
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "p").symlink_to("..data/p")

    assert below(tmp_path, tmp_path / "p") == ["p", "..data", "..1", "..1/p"]


def test_an_absolute_link_starts_over(tmp_path: Path) -> None:
    """At the root."""
    (tmp_path / "there").touch()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    steps = trail(str(tmp_path / "link"))

    assert steps[0].path == f"/{tmp_path.parts[1]}"
    assert steps.count(steps[0]) == 2
    assert steps[-1].path == str(tmp_path / "there")


def test_it_ends_with_what_is_missing(tmp_path: Path) -> None:
    """That name is the one to be watched."""
    assert below(tmp_path, tmp_path / "no" / "such" / "thing") == ["no"]


def test_circles_end(tmp_path: Path) -> None:
    """After as many links as the kernel follows."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert set(below(tmp_path, tmp_path / "a")) == {"a", "b"}


@given(parts=st.lists(st.sampled_from(["a", "b", "link", "up", "gone", ".", "..", ""]), max_size=8))
def test_the_last_step_is_where_the_kernel_goes(tmp_path_factory: object, parts: list[str]) -> None:
    """For whatever leads to something that is there, the last step leads to the same."""
    top = _maze(tmp_path_factory)
    path = "/".join([str(top), *parts])
    if parts and parts[-1] in ("a", "b") and Path(path).exists():
        assert Path(trail(path)[-1].path).samefile(path)


def _maze(factory: object) -> Path:
    top: Path = factory.mktemp("maze")  # type: ignore[attr-defined]
    (top / "a" / "b").mkdir(parents=True)
    (top / "b").mkdir()
    (top / "a" / "link").symlink_to("../b")
    (top / "link").symlink_to("a/b/../../a")
    (top / "a" / "b" / "up").symlink_to(top)
    (top / "b" / "a").symlink_to("../link/b")
    (top / "gone").symlink_to("nowhere")
    return top
