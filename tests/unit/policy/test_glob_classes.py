"""Classes of names by globs: each is real, none is missing, and an automaton reads a glob as it is meant."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fdstorefs.policy.budget import Budget
from fdstorefs.policy.cgroup_globs import fits
from fdstorefs.policy.glob import compile_glob
from fdstorefs.policy.glob_automaton import automaton
from fdstorefs.policy.glob_below import could_fit_below
from fdstorefs.policy.glob_classes import cgroup_classes, path_classes, unusual

PARTS = st.sampled_from(
    ["a", "b", "ab", "*", "**", "?", "a*", "*b", "[ab]", "[!a]b", "a**b", "**x", ".", "[b-x]?"]
)
GLOBS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
NAMES = st.lists(
    st.text(alphabet="abx.-", min_size=1, max_size=3).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=4,
).map("/".join)


@given(GLOBS, NAMES)
@settings(max_examples=300)
def test_an_automaton_fits_what_the_expression_fits(glob: str, name: str) -> None:
    """The same names, whatever the glob."""
    machine = automaton(glob)

    assert bool(compile_glob(glob).fullmatch(name)) == machine.fits(machine.read(name))


@given(GLOBS, NAMES)
@settings(max_examples=300)
def test_an_automaton_knows_what_could_fit_below(glob: str, box: str) -> None:
    """The same boxes as for the evaluators."""
    machine = automaton(glob)

    assert could_fit_below(glob, box) == machine.fits_below(machine.read(box))


def signature(globs: list[str], path: str) -> tuple[bool, ...]:
    return tuple(bool(compile_glob(glob).fullmatch(path)) for glob in globs) + tuple(
        could_fit_below(glob, path) for glob in globs
    )


@given(st.lists(GLOBS, min_size=1, max_size=3), NAMES)
@settings(max_examples=300)
def test_every_name_is_of_one_of_the_classes(globs: list[str], name: str) -> None:
    """No combination of globs is missing, and no two classes are the same."""
    classes = [signature(globs, path) for path in path_classes(globs, Budget())]

    assert 1 == classes.count(signature(globs, name))


@given(st.lists(GLOBS | st.just(""), min_size=1, max_size=3), NAMES | st.just(""))
@settings(max_examples=300)
def test_every_cgroup_is_of_one_of_the_classes(globs: list[str], name: str) -> None:
    """A glob fits what is below a cgroup that it fits; `/` fits all."""
    patterns = [f"/{glob}" for glob in globs]

    def told(cgroup: str) -> tuple[bool, ...]:
        return tuple(fits(pattern, cgroup) for pattern in patterns)

    assert told(f"/{name}") in {told(cgroup) for cgroup in cgroup_classes(patterns, Budget())}


@given(GLOBS)
def test_an_unusual_name_has_no_wildcards_left(glob: str) -> None:
    """It is a name that can be looked up."""
    assert not set("*?[") & set(unusual(glob))
