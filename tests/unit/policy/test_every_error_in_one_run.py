"""One run finds everything: an error hides no other, and rules and policies are compared across all files."""

from fdstorefs.policy.findings import MAX_FOUND
from fdstorefs.policy.vocabulary import MAX_TERMS
from tests.unit.policy.loading import loaded

HEAD = "version: 1\nrules:\n"


def codes(*texts: str) -> list[str]:
    """What is found, by code."""
    return [diagnostic.code for diagnostic in loaded(*texts).diagnostics]


def rule(name: str, more: str = "") -> str:
    """A line with a rule."""
    return f"  - {{id: {name}, effect: allow, actions: list{more}}}\n"


def test_errors_in_every_part() -> None:
    """An error at the top, in a set, in each of two rules and in another file."""
    first = (
        "version: 1\nmod: x\nsets:\n  web: {uidd: 1}\nrules:\n"
        + rule("a", ", kind: x")
        + rule("b", ", log: no")
    )
    expected = ["unknown-key", "unknown-key", "unknown-key", "wrong-type", "unknown-version"]

    assert expected == codes(first, "version: 2\nrules: []\n")


def test_only_rules_without_errors_are_left() -> None:
    """A rule with an error is left out; the others are there, and the whole isn't ok."""
    result = loaded(HEAD + rule("a") + rule("b", ", kinds: sock") + rule("c"))

    assert ["a", "c"] == [each.id for each in result.policies[0].rules]
    assert not result.ok


def test_a_rule_that_names_a_broken_set_is_left_out() -> None:
    """A rule never loses the conditions of a set that isn't right."""
    result = loaded("version: 1\nsets:\n  web: {uid: -1}\nrules:\n" + rule("a", ", subject: {set: web}"))

    assert () == result.policies[0].rules
    assert ["bad-number"] == [diagnostic.code for diagnostic in result.diagnostics]


def test_warnings_alone_are_ok() -> None:
    """A warning keeps nothing from being loaded."""
    result = loaded(HEAD + rule("a", ", filesystems: ext5"))

    assert result.ok
    assert ["unknown-filesystem"] == [diagnostic.code for diagnostic in result.diagnostics]


def test_rule_ids_are_unique_over_all_files() -> None:
    """The error stands at the second, and points at the first."""
    (found,) = loaded(HEAD + rule("a"), HEAD + rule("a")).diagnostics

    assert "duplicate-id" == found.code
    assert found.span is not None
    assert ("b.yaml", 2) == (found.span.source.name, found.span.line)
    assert ("a.yaml", 2) == (found.related[0].span.source.name, found.related[0].span.line)


def test_the_second_of_two_rules_is_left_out() -> None:
    """Of two rules with one id the first is kept."""
    result = loaded(HEAD + rule("a"), HEAD + rule("a") + rule("b"))

    assert [["a"], ["b"]] == [[each.id for each in policy.rules] for policy in result.policies]


def test_policy_names_are_unique() -> None:
    """So that a record in the audit log tells which policy it was."""
    (found,) = loaded("version: 1\nname: web\nrules: []\n", "version: 1\nname: web\nrules: []\n").diagnostics

    assert ("duplicate-policy", "a policy `web` is here already") == (found.code, found.message)
    assert found.span is not None
    assert ("b.yaml", "a.yaml") == (found.span.source.name, found.related[0].span.source.name)


def test_a_name_after_the_file_can_be_taken() -> None:
    """Without a name it is the file's, which another policy may have."""
    assert ["duplicate-policy"] == codes("version: 1\nrules: []\n", "version: 1\nname: a\nrules: []\n")


def test_as_many_rules_as_there_can_be() -> None:
    """The limit itself is not too many, over several files."""
    half = [HEAD + "".join(rule(f"{file}-{number}") for number in range(MAX_TERMS // 2)) for file in "ab"]

    assert loaded(*half).ok


def test_too_many_rules() -> None:
    """A rule counts once for each set that it names."""
    sets = "sets: {v: {uid: 1}, w: {uid: 2}}\n"
    rules = [rule(f"r{number}", ", subject: {set: [v, w]}") for number in range(MAX_TERMS // 2 + 1)]
    (found,) = loaded(f"version: 1\n{sets}rules:\n" + "".join(rules)).diagnostics

    assert "too-many-rules" == found.code
    assert (
        "from here on there are more than 1024 rules, each counted once for every set it names"
        == found.message
    )
    assert found.span is not None
    assert 3 + MAX_TERMS // 2 == found.span.line


def test_they_come_in_the_order_of_the_text() -> None:
    """Whatever is looked at first."""
    found = loaded(HEAD + rule("a", ", kinds: x") + "sets: {b: {uid: -1}}\nmode: x\n").diagnostics

    assert [2, 3, 4] == [diagnostic.span.line for diagnostic in found if diagnostic.span is not None]


def test_each_comes_once() -> None:
    """What an alias repeats is wrong in one place only."""
    text = HEAD + "  - {id: a, effect: allow, actions: list, kinds: &k [sock]}\n" + rule("b", ", kinds: *k")

    assert ["unknown-kind"] == codes(text)


def test_there_is_an_end() -> None:
    """After so many errors no more are looked for, and it isn't ok."""
    result = loaded(HEAD + "  - {}\n" * (MAX_FOUND + 10))

    assert not result.ok
    assert MAX_FOUND >= len(result.diagnostics) > 900


def test_warnings_hide_no_error() -> None:
    """However many warnings there are."""
    names = ", ".join(f"fs{number}" for number in range(MAX_FOUND + 10))
    found = codes(HEAD + rule("a", f", filesystems: [{names}]") + rule("b", ", log: no"))

    assert (MAX_FOUND, 1) == (found.count("unknown-filesystem"), found.count("wrong-type"))
