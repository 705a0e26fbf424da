"""The oracle's own reading of globs and the product's are one."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fdstorefs.policy.glob import BadGlob, compile_glob
from tests.unit.policy.oracle_glob import could_fit_below, fits

SIGNS = ("a", "b", "/", "*", "**", "**/", "?", "[ab]", "[!a]", "[a-b]", "[]x]", "-", "[*]")
SHORT = tuple("ab-]x*")

COULD_FIT_BELOW = [
    ("**", "a"),
    ("a/**", "a"),
    ("a/**", "a/b/c"),
    ("a/b", "a"),
    ("a/b/c", "a/b"),
    ("*/b", "a"),
    ("a/**/b", "a/x"),
    ("**/b", "b"),
    ("a**", "ab"),
    ("a**/c", "a"),
    ("?/x", "a"),
    ("[ab]/x", "b"),
    ("[!b]/x", "a"),
    ("a/*", "a"),
]

NEVER_FITS_BELOW = [
    ("a", "a"),
    ("*", "a"),
    ("a/b", "b"),
    ("a/b", "a/b"),
    ("a/*", "a/b"),
    ("b/**", "a"),
    ("a/b/**", "a/c"),
    ("ab/**", "a"),
    ("?/x", "ab"),
    ("[!a]/x", "a"),
    ("a*b", "a"),
    ("b**", "a"),
]


@pytest.mark.parametrize(("glob", "box"), COULD_FIT_BELOW)
def test_something_below_the_box_could_fit(glob: str, box: str) -> None:
    """There is a name that begins with the box and fits."""
    assert could_fit_below(glob, box)


@pytest.mark.parametrize(("glob", "box"), NEVER_FITS_BELOW)
def test_nothing_below_the_box_could_fit(glob: str, box: str) -> None:
    """The glob ends at the box or before it, or goes another way."""
    assert not could_fit_below(glob, box)


@st.composite
def globs(draw: st.DrawFn) -> str:
    """Globs that mean something."""
    glob = "".join(draw(st.lists(st.sampled_from(SIGNS), min_size=1, max_size=6)))
    try:
        compile_glob(glob)
    except BadGlob:
        glob = "a/**"
    return glob


NAMES = st.lists(st.text(SHORT, min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(globs(), NAMES)
@example("**/*b/**", "a/bab/b")
def test_the_same_names_fit(glob: str, name: str) -> None:
    """Whether a name fits, both agree."""
    assert fits(glob, name) == (compile_glob(glob).fullmatch(name) is not None)


@given(globs(), NAMES, NAMES)
def test_what_fits_could_fit_below_each_box_above_it(glob: str, box: str, below: str) -> None:
    """No name fits that could not."""
    fits_there = compile_glob(glob).fullmatch(f"{box}/{below}") is not None

    assert could_fit_below(glob, box) or not fits_there


def test_what_could_fit_below_a_box_can_be_found() -> None:
    """Among many names there is one that does fit."""
    random = Random(1)
    found = sought = 0

    for box in ("a", "b/a"):
        for glob in ("**", "*/*", "a/?b", "b/**", "**/a*", "[ab]/**/b", "a**", "?/[!a]*", "a/b", "b/*/-"):
            names = (f"{box}/{_name(random)}" for _ in range(5000))
            sought += could_fit_below(glob, box)
            found += could_fit_below(glob, box) and any(compile_glob(glob).fullmatch(name) for name in names)

    assert 0 < sought == found


def _name(random: Random) -> str:
    components = ("".join(random.choices(SHORT, k=random.randint(1, 2))) for _ in range(random.randint(1, 2)))
    return "/".join(components)
