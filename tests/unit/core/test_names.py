"""Which names there can be, and how paths split into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core import name
from fdstorefs.core.store import Store
from fdstorefs.errors import InvalidArgument, InvalidName, NameTooLong
from tests.unit.core.people import Files, Person

COMPONENT = st.text(min_size=1, max_size=40).filter(lambda text: "/" not in text and "\0" not in text)


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "a\0b", "\ud800"])
def test_what_no_file_system_allows_is_no_name(bad: str) -> None:
    """Empty, dot, dot-dot, a slash, a NUL and half a character are refused."""
    with pytest.raises(InvalidName):
        name.check(bad)


@pytest.mark.parametrize(
    "good", ["a", "...", "listen:80", "naïve", "new\nline", "\udc80", "x" * 255, "é" * 127]
)
def test_anything_else_up_to_255_bytes_is(good: str) -> None:
    """Bytes count, not characters; bytes that are not UTF-8 are fine."""
    assert name.check(good) == good


@pytest.mark.parametrize("long", ["x" * 256, "é" * 128])
def test_256_bytes_are_too_long(long: str) -> None:
    """The kernel's limit for a component holds on the socket too."""
    with pytest.raises(NameTooLong):
        name.check(long)


def test_a_path_over_4095_bytes_is_too_long() -> None:
    """The kernel's limit for a path holds on the socket too."""
    with pytest.raises(NameTooLong):
        name.split("/".join(["x" * 200] * 30))


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_has_no_components(path: str) -> None:
    """The root box is reached by the empty path or a slash."""
    assert name.split(path) == []


@pytest.mark.parametrize("path", ["a//b", "//a", "a/../b", "./a"])
def test_odd_paths_are_refused_not_guessed(path: str) -> None:
    """Nothing is normalised: two spellings of one name would be two names for a policy."""
    with pytest.raises(InvalidName):
        name.split(path)


@given(st.lists(COMPONENT.filter(lambda text: text not in (".", "..")), min_size=1, max_size=5))
def test_splitting_undoes_joining(parts: list[str]) -> None:
    """What join put together, split takes apart."""
    path = ""
    for part in parts:
        path = name.join(path, part)

    try:
        assert name.split(path) == parts
    except InvalidName:
        assert any(not part.isprintable() or "\ud800" <= max(part) <= "\udfff" for part in parts)


def test_labels_have_at_most_255_bytes(store: Store, files: Files, ada: Person) -> None:
    """By whatever door they come."""
    entry, _ = store.stash(ada.subject, "x", files(), ada.stasher)

    with pytest.raises(InvalidArgument):
        store.set_label(ada.subject, entry, "é" * 128)
    store.set_label(ada.subject, entry, "é" * 127)
    assert entry.label == "é" * 127
