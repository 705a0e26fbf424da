"""Globs: what each sign stands for, what is refused and how, and that no pattern takes for ever."""

import time
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fdstorefs.policy.glob import LONGEST, BadGlob, compile_glob

MATCHES = [
    ("a", "a"),
    ("a/b", "a/b"),
    ("*", "a"),
    ("*", "abc"),
    ("a*", "a"),
    ("*c", "abc"),
    ("a*c", "abbc"),
    ("a*b*c", "aXbXbc"),
    ("*/b", "a/b"),
    ("a/*/c", "a/b/c"),
    ("?", "a"),
    ("?", "\n"),
    ("a?c", "abc"),
    ("[abc]", "b"),
    ("[a-c]x", "bx"),
    ("[!a-c]x", "dx"),
    ("[]]", "]"),
    ("[!]]", "x"),
    ("[a-]", "-"),
    ("[-a]", "-"),
    ("[a^]", "^"),
    ("[^a]", "^"),
    ("[a\\]", "\\"),
    ("[*]", "*"),
    ("[[]x]", "[x]"),
    ("[{]", "{"),
    ("}", "}"),
    ("a\\b", "a\\b"),
    ("a.b+c(d)|$^", "a.b+c(d)|$^"),
    ("**", "a"),
    ("**", "a/b/c"),
    ("**/a", "a"),
    ("**/a", "x/y/a"),
    ("a/**", "a/b"),
    ("a/**", "a/b/c"),
    ("a/**/b", "a/b"),
    ("a/**/b", "a/x/y/b"),
    ("a/**/b/**/c", "a/b/b/x/c"),
    ("**/a*b", "x/ab"),
    ("**a*b", "a/ab"),
    ("web**", "web/a/b"),
    ("web**", "web"),
    ("x**/y", "xa/b/y"),
    ("**/*.sock", "run/x.sock"),
    ("é*", "éa"),
    ("caf?", "caf\udce9"),
    ("**/b*c/**/d", "a/b/bxc/y/d"),
]

DIFFERS = [
    ("a", "b"),
    ("a", "ab"),
    ("a", "A"),
    ("*", "a/b"),
    ("a*", "a/b"),
    ("a*c", "ab/bc"),
    ("?", ""),
    ("?", "ab"),
    ("a?b", "a/b"),
    ("a[!x]b", "a/b"),
    ("[abc]", "d"),
    ("[!abc]", "a"),
    ("[a-c]", "-"),
    ("**/a", "xa"),
    ("**/a", "x/ya"),
    ("a/**", "a"),
    ("a/**", "ab"),
    ("a/**/b", "ab"),
    ("a/**/b", "a/xb"),
    ("**/a*b", "x/a/b"),
    ("a.b", "axb"),
    ("*", "a\n/b"),
    ("a", "a\n"),
]

BAD = [
    ("", "an empty pattern matches nothing", 0),
    ("/a", "a pattern has no leading slash", 0),
    ("a/", "a pattern has no trailing slash", 1),
    ("a//b", "a component is empty", 2),
    ("a***", "three stars have no meaning", 1),
    ("a{b,c}", "`{` has no meaning here", 1),
    ("a[b", "`[` is never closed", 1),
    ("a[]", "`[` is never closed", 1),
    ("a[!]", "`[` is never closed", 1),
    ("[a/b]", "a class cannot hold a slash", 2),
    ("[z-a]", "the range `z-a` is backwards", 1),
    ("[+-9]", "the range `+-9` holds a slash", 1),
]


@pytest.mark.parametrize(("pattern", "name"), MATCHES)
def test_a_pattern_matches(pattern: str, name: str) -> None:
    """The whole name, as written."""
    assert compile_glob(pattern).fullmatch(name)


@pytest.mark.parametrize(("pattern", "name"), DIFFERS)
def test_a_pattern_does_not_match(pattern: str, name: str) -> None:
    """Not a part of the name, and not across a slash without two stars."""
    assert not compile_glob(pattern).fullmatch(name)


@pytest.mark.parametrize(("pattern", "problem", "position"), BAD)
def test_a_bad_pattern_is_refused(pattern: str, problem: str, position: int) -> None:
    """With what is wrong, where, and what to write instead."""
    with pytest.raises(BadGlob) as refused:
        compile_glob(pattern)

    assert (refused.value.problem, refused.value.position) == (problem, position)
    assert str(refused.value) == f"{problem} (at character {position + 1})"
    assert refused.value.hint


def by_definition(pattern: str, name: str) -> bool:
    """The meaning of a pattern without classes, tried out in every way there is."""

    @cache
    def match(at: int, left: str) -> bool:
        if at == len(pattern):
            return not left
        starts_component = at == 0 or pattern[at - 1] == "/"
        if pattern.startswith("**", at):
            after = at + 2
            if starts_component and pattern.startswith("/", after):
                ends = [index + 1 for index, sign in enumerate(left) if sign == "/"]
                return match(after + 1, left) or any(match(after + 1, left[end:]) for end in ends)
            if starts_component and after == len(pattern):
                return bool(left)
            return any(match(after, left[index:]) for index in range(len(left) + 1))
        if pattern[at] == "*":
            reach = left.find("/") if "/" in left else len(left)
            return any(match(at + 1, left[index:]) for index in range(reach + 1))
        if not left or (pattern[at] == "?" and left[0] == "/"):
            return False
        return pattern[at] in ("?", left[0]) and match(at + 1, left[1:])

    return match(0, name)


signs = st.sampled_from(["a", "b", "*", "**", "?", "/", "/**/", "a*b", "**/"])
names = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@given(st.lists(signs, min_size=1, max_size=9).map("".join), names)
@example("**a*b", "a/ab")
@example("**a*b**a*b", "ab/aab/ab")
@example("*a**/b", "aa/a/b")
def test_a_pattern_means_what_it_says(pattern: str, name: str) -> None:
    """The first place that fits being final never loses a match."""
    try:
        compiled = compile_glob(pattern)
    except BadGlob:
        return

    assert bool(compiled.fullmatch(name)) == by_definition(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a" * 60 + "b", "a" * 255),
        ("**/" * 60 + "b", "/".join("a" * 2000)),
        ("**a" * 60 + "b", "a" * 4095),
        ("**a*c" * 60 + "b", "/".join(["a" * 200] * 20)),
        ("*" + "?*" * 100 + "b", "a" * 255),
        ("**/*a*a*a*a*b", "/".join(["a" * 255] * 15)),
        ("[!b]*" * 60 + "b", "a" * 255),
    ],
)
def test_no_pattern_takes_for_ever(pattern: str, name: str) -> None:
    """What makes a backtracking matcher run for years takes a moment here."""
    compiled = compile_glob(pattern)
    start = time.process_time()
    compiled.fullmatch(name)

    assert time.process_time() - start < 1


def test_a_pattern_is_not_longer_than_can_be_read_at_once() -> None:
    """Clients send patterns, too, and others wait while they are read."""
    compile_glob("a" * LONGEST)
    with pytest.raises(BadGlob, match=r"at most 1,024 characters"):
        compile_glob("a?*" * LONGEST)
