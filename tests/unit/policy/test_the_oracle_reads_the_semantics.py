"""The oracle, case by case, paragraph by paragraph of docs/policy/semantics.md."""

from dataclasses import replace
from typing import Any

import pytest

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import OPEN, UNKNOWN, EntryFacts, Person, Request, SubjectFacts
from fdstorefs.policy.vocabulary import ON_ENTRIES, Action, Effect, Mode, OpenerUnknown, Relation
from tests.unit.policy.oracle import OracleVerdict, stands_to, verdict

ALLOW, FORBID = Effect.ALLOW, Effect.FORBID
RETRIEVE, TAKE, LIST, STASH = Action.RETRIEVE, Action.TAKE, Action.LIST, Action.STASH
SAME, BELOW = Relation.SAME, Relation.BELOW
SAME_OR_BELOW = frozenset({SAME, BELOW})

ANYTHING = Conditions()
SOCKETS = Conditions(kinds=frozenset({"socket"}))
ROOT = Conditions(subjects=(SubjectConditions(uid=Ids(frozenset({0}))),))

SUBJECT = SubjectFacts(uid=1, gids=frozenset({1, 10}), capabilities=0b11, userns=(2, 1), cgroup="/a/b")
STASHER = Person(uid=1, capabilities=0b1, userns=(2, 1))
OPENER = Person(uid=2, capabilities=0b111, userns=(3, 2, 1))
ENTRY = EntryFacts("a/x", "socket", "sockfs", "rw", "red", STASHER, OPENER, guarded=True)
EMPTY = EntryFacts("a/x", "empty", OPEN, OPEN, None, STASHER, Person(OPEN, OPEN, OPEN), guarded=OPEN)
BOX = replace(EMPTY, path="box", kind="box")
REQUEST = Request(RETRIEVE, ENTRY, SUBJECT, instance=(1,))


def allow(when: Conditions = ANYTHING, unless: Conditions | None = None, **how: Any) -> Rule:
    """An allow rule, for all actions on entries unless told."""
    return Rule("allow", ALLOW, how.get("actions", ON_ENTRIES), when, unless)


def forbid(when: Conditions = ANYTHING, unless: Conditions | None = None, **how: Any) -> Rule:
    """A forbid rule, for all actions on entries unless told."""
    return Rule("forbid", FORBID, how.get("actions", ON_ENTRIES), when, unless)


def matches(rule: Rule, request: Request = REQUEST) -> bool:
    """Whether the rule alone decides."""
    return verdict([Policy("p", (rule,))], request).rules == {rule.id}


def truth(when: Conditions, request: Request = REQUEST) -> str:
    """Whether what is asked is true, false, unknown or open, as told from the rules that match by it."""
    word = {
        (True, True, False, False): "true",
        (False, False, True, True): "false",
        (False, True, False, True): "unknown",
        (True, False, True, False): "open",
    }
    return word[
        matches(allow(when), request),
        matches(forbid(when), request),
        matches(allow(unless=when), request),
        matches(forbid(unless=when), request),
    ]


def with_entry(**values: Any) -> Request:
    """The request about an entry with these values."""
    return replace(REQUEST, entry=replace(ENTRY, **values))


def with_subject(**values: Any) -> Request:
    """The request of a subject with these values."""
    return replace(REQUEST, subject=replace(SUBJECT, **values))


def with_stasher(**values: Any) -> Request:
    """The request about what another stashed."""
    return with_entry(stasher=replace(STASHER, **values))


def with_opener(**values: Any) -> Request:
    """The request about what another opened."""
    return with_entry(opener=replace(OPENER, **values))


def stasher_uid(*known: int, same: bool = False, undetermined: bool = False) -> Conditions:
    return Conditions(stasher_uid=Ids(frozenset(known), same, undetermined))


def opener_uid(*known: int, same: bool = False) -> Conditions:
    return Conditions(opener_uid=Ids(frozenset(known), same))


def subject(**conditions: Any) -> Conditions:
    return Conditions(subjects=(SubjectConditions(**conditions),))


def listed(name: str, *values: str) -> Conditions:
    return Conditions(**{name: frozenset(values)})  # type: ignore[arg-type]


TRUTHS = [
    # values: known, unknown, open
    ("a kind that is listed", listed("kinds", "pipe", "socket"), REQUEST, "true"),
    ("a kind that is not", listed("kinds", "pipe"), REQUEST, "false"),
    ("an unknown kind", listed("kinds", "socket"), with_entry(kind=UNKNOWN), "unknown"),
    ("an empty entry, kind not listed", listed("kinds", "socket"), with_entry(kind="empty"), "open"),
    ("an empty entry, listed", listed("kinds", "socket", "empty"), with_entry(kind="empty"), "true"),
    ("a box is of kind box", listed("kinds", "box"), with_entry(kind="box"), "true"),
    ("a box is no socket", listed("kinds", "socket"), with_entry(kind="box"), "false"),
    ("a file system", listed("filesystems", "sockfs"), REQUEST, "true"),
    ("another file system", listed("filesystems", "proc"), REQUEST, "false"),
    ("an unknown file system", listed("filesystems", "sockfs"), with_entry(filesystem=UNKNOWN), "unknown"),
    ("no file system yet", listed("filesystems", "sockfs"), with_entry(filesystem=OPEN), "open"),
    ("an access mode", listed("access", "rw"), REQUEST, "true"),
    ("to read is not to read and write", listed("access", "r", "w"), REQUEST, "false"),
    ("an unknown access mode", listed("access", "rw"), with_entry(access=UNKNOWN), "unknown"),
    ("no access mode yet", listed("access", "rw"), with_entry(access=OPEN), "open"),
    ("guarded", Conditions(guarded=True), REQUEST, "true"),
    ("not unguarded", Conditions(guarded=False), REQUEST, "false"),
    ("unguarded", Conditions(guarded=False), with_entry(guarded=False), "true"),
    ("not guarded", Conditions(guarded=True), with_entry(guarded=False), "false"),
    ("unknown whether guarded", Conditions(guarded=True), with_entry(guarded=UNKNOWN), "unknown"),
    ("unknown whether unguarded", Conditions(guarded=False), with_entry(guarded=UNKNOWN), "unknown"),
    ("nothing to guard yet", Conditions(guarded=True), with_entry(guarded=OPEN), "open"),
    ("nothing to leave unguarded yet", Conditions(guarded=False), with_entry(guarded=OPEN), "open"),
    ("a label", listed("labels", "red"), REQUEST, "true"),
    ("another label", listed("labels", "blue"), REQUEST, "false"),
    ("no label", listed("labels", "red"), with_entry(label=None), "false"),
    # entries
    ("a path that fits", Conditions(entries=("b", "a/*")), REQUEST, "true"),
    ("a path that doesn't", Conditions(entries=("b", "*")), REQUEST, "false"),
    # stasher and opener: uid
    ("a listed stasher", stasher_uid(1), REQUEST, "true"),
    ("another stasher", stasher_uid(2), REQUEST, "false"),
    ("the subject stashed it", stasher_uid(same=True), REQUEST, "true"),
    ("another stashed it", stasher_uid(same=True), with_stasher(uid=2), "false"),
    ("unless `same` is listed it doesn't count", stasher_uid(), REQUEST, "false"),
    ("an unknown stasher", stasher_uid(1, same=True), with_stasher(uid=UNKNOWN), "unknown"),
    ("no stasher yet", stasher_uid(1), with_stasher(uid=OPEN), "open"),
    ("listed, or `same` as one unknown", stasher_uid(1, same=True), with_subject(uid=UNKNOWN), "true"),
    ("not listed, `same` as one unknown", stasher_uid(2, same=True), with_subject(uid=UNKNOWN), "unknown"),
    ("listed or undetermined", stasher_uid(1, undetermined=True), REQUEST, "true"),
    ("same or undetermined", stasher_uid(same=True, undetermined=True), REQUEST, "true"),
    ("not listed, or undetermined", stasher_uid(2, undetermined=True), REQUEST, "unknown"),
    ("a listed opener", opener_uid(2), REQUEST, "true"),
    ("the stasher is not the opener", opener_uid(1), REQUEST, "false"),
    ("the subject opened it", opener_uid(same=True), with_opener(uid=1), "true"),
    ("the subject did not open it", opener_uid(same=True), REQUEST, "false"),
    ("an unknown opener", opener_uid(2), with_opener(uid=UNKNOWN), "unknown"),
    ("no opener yet", opener_uid(same=True), with_opener(uid=OPEN), "open"),
    (
        "open even where the subject is unknown",
        opener_uid(same=True),
        replace(with_opener(uid=OPEN), subject=SubjectFacts()),
        "open",
    ),
    # stasher and opener: user namespace, as it stands to the subject's
    ("the subject's", Conditions(stasher_userns=frozenset({SAME})), REQUEST, "true"),
    ("not below it", Conditions(stasher_userns=frozenset({BELOW})), REQUEST, "false"),
    ("below it", Conditions(opener_userns=frozenset({BELOW})), REQUEST, "true"),
    ("not the subject's", Conditions(opener_userns=frozenset({SAME})), REQUEST, "false"),
    ("either, below", Conditions(opener_userns=SAME_OR_BELOW), REQUEST, "true"),
    ("either, same", Conditions(opener_userns=SAME_OR_BELOW), with_opener(userns=(2, 1)), "true"),
    ("neither, above", Conditions(opener_userns=SAME_OR_BELOW), with_opener(userns=(1,)), "false"),
    ("neither, beside", Conditions(opener_userns=SAME_OR_BELOW), with_opener(userns=(4, 1)), "false"),
    ("out of sight", Conditions(opener_userns=SAME_OR_BELOW), with_opener(userns=(9,)), "unknown"),
    ("unknown", Conditions(stasher_userns=SAME_OR_BELOW), with_stasher(userns=UNKNOWN), "unknown"),
    ("open", Conditions(opener_userns=frozenset({SAME})), with_opener(userns=OPEN), "open"),
    (
        "the subject's is unknown",
        Conditions(stasher_userns=SAME_OR_BELOW),
        with_subject(userns=UNKNOWN),
        "unknown",
    ),
    # the opener's capabilities
    ("had one", Conditions(opener_capabilities=0b1), REQUEST, "true"),
    ("had all", Conditions(opener_capabilities=0b101), REQUEST, "true"),
    ("had not all", Conditions(opener_capabilities=0b1001), REQUEST, "false"),
    ("unknown", Conditions(opener_capabilities=0b1), with_opener(capabilities=UNKNOWN), "unknown"),
    ("none yet", Conditions(opener_capabilities=0b1), with_opener(capabilities=OPEN), "open"),
    ("more than the subject", Conditions(opener_no_more=True), REQUEST, "false"),
    ("as many", Conditions(opener_no_more=True), with_opener(capabilities=0b11), "true"),
    ("fewer", Conditions(opener_no_more=True), with_opener(capabilities=0b10), "true"),
    ("unknown", Conditions(opener_no_more=True), with_opener(capabilities=UNKNOWN), "unknown"),
    ("none yet", Conditions(opener_no_more=True), with_opener(capabilities=OPEN), "open"),
    (
        "the subject's are unknown",
        Conditions(opener_no_more=True),
        with_subject(capabilities=UNKNOWN),
        "unknown",
    ),
    (
        "none are no more than anybody's",
        Conditions(opener_no_more=True),
        replace(with_opener(capabilities=0), subject=SubjectFacts()),
        "true",
    ),
    # the subject
    ("its uid", subject(uid=Ids(frozenset({1}))), REQUEST, "true"),
    ("another uid", subject(uid=Ids(frozenset({0}))), REQUEST, "false"),
    ("unknown uid", subject(uid=Ids(frozenset({1}))), with_subject(uid=UNKNOWN), "unknown"),
    ("undetermined uid", subject(uid=Ids(frozenset({0}), undetermined=True)), REQUEST, "unknown"),
    ("listed or undetermined uid", subject(uid=Ids(frozenset({1}), undetermined=True)), REQUEST, "true"),
    ("its gid", subject(gid=Ids(frozenset({1}))), REQUEST, "true"),
    ("a supplementary group", subject(gid=Ids(frozenset({10, 11}))), REQUEST, "true"),
    ("no group of it", subject(gid=Ids(frozenset({11}))), REQUEST, "false"),
    ("unknown groups", subject(gid=Ids(frozenset({1}))), with_subject(gids=UNKNOWN), "unknown"),
    ("undetermined gid", subject(gid=Ids(frozenset({11}), undetermined=True)), REQUEST, "unknown"),
    ("listed or undetermined gid", subject(gid=Ids(frozenset({10}), undetermined=True)), REQUEST, "true"),
    ("its cgroup", subject(cgroups=("/a/b",)), REQUEST, "true"),
    ("a cgroup above", subject(cgroups=("/c", "/a")), REQUEST, "true"),
    ("a cgroup below", subject(cgroups=("/a/b/c",)), REQUEST, "false"),
    ("a cgroup by a glob", subject(cgroups=("/*/b",)), REQUEST, "true"),
    ("a cgroup above by a glob", subject(cgroups=("/?",)), REQUEST, "true"),
    ("below a cgroup", subject(cgroups=("/a/**",)), with_subject(cgroup="/a"), "false"),
    ("the root is above every cgroup", subject(cgroups=("/",)), REQUEST, "true"),
    ("the root itself", subject(cgroups=("/",)), with_subject(cgroup="/"), "true"),
    ("the root fits no glob over names", subject(cgroups=("/*", "/**")), with_subject(cgroup="/"), "false"),
    ("unknown cgroup", subject(cgroups=("/",)), with_subject(cgroup=UNKNOWN), "unknown"),
    ("its capabilities", subject(capabilities=0b11), REQUEST, "true"),
    ("not all capabilities", subject(capabilities=0b110), REQUEST, "false"),
    ("unknown capabilities", subject(capabilities=0b1), with_subject(capabilities=UNKNOWN), "unknown"),
    ("below the instance's", subject(userns=frozenset({BELOW})), REQUEST, "true"),
    ("not the instance's", subject(userns=frozenset({SAME})), REQUEST, "false"),
    ("the instance's", subject(userns=frozenset({SAME})), with_subject(userns=(1,)), "true"),
    ("neither", subject(userns=SAME_OR_BELOW), with_subject(userns=(9,)), "false"),
    ("unknown user namespace", subject(userns=SAME_OR_BELOW), with_subject(userns=UNKNOWN), "unknown"),
    # joined by and
    ("nothing is asked", ANYTHING, REQUEST, "true"),
    ("both", replace(SOCKETS, stasher_uid=Ids(frozenset({1}))), REQUEST, "true"),
    ("one is false", replace(SOCKETS, stasher_uid=Ids(frozenset({2}))), REQUEST, "false"),
    ("true and unknown", replace(SOCKETS, stasher_uid=Ids(same=True)), with_stasher(uid=UNKNOWN), "unknown"),
    (
        "false and unknown",
        replace(SOCKETS, stasher_uid=Ids(frozenset({2}))),
        with_entry(kind=UNKNOWN),
        "false",
    ),
    ("all of a set", subject(uid=Ids(frozenset({1})), cgroups=("/a",)), REQUEST, "true"),
    ("not all of a set", subject(uid=Ids(frozenset({1})), cgroups=("/c",)), REQUEST, "false"),
]


@pytest.mark.parametrize(
    ("asked", "request_", "expected"),
    [
        pytest.param(asked, request, is_, id=f"{number}: {name}")
        for number, (name, asked, request, is_) in enumerate(TRUTHS)
    ],
)
def test_conditions(asked: Conditions, request_: Request, expected: str) -> None:
    """Each is true, false, unknown or open, for allow and forbid rules, in `when` and in `unless`."""
    assert expected == truth(asked, request_)


def test_forbid_overrides_allow() -> None:
    """In whatever order, and all forbid rules that match decide."""
    also = replace(forbid(), id="also")
    policy = Policy("p", (forbid(), allow(), also, forbid(listed("kinds", "pipe"))))

    assert OracleVerdict(False, False, frozenset({"forbid", "also"})) == verdict([policy], REQUEST)


def test_all_allow_rules_that_match_decide() -> None:
    """Where nothing forbids it."""
    also = replace(allow(), id="also")
    policy = Policy("p", (allow(), replace(allow(ROOT), id="root"), also))

    assert OracleVerdict(True, True, frozenset({"allow", "also"})) == verdict([policy], REQUEST)


def test_default_deny() -> None:
    """No rule decides it, whether none is there or none matches."""
    expected = OracleVerdict(False, False, frozenset())

    assert expected == verdict([Policy("p")], REQUEST)
    assert expected == verdict([Policy("p", (allow(ROOT),))], REQUEST)
    assert expected == verdict([], REQUEST)


def test_only_the_actions_listed() -> None:
    """A rule for one action is none for another."""
    for rule in (allow(actions=frozenset({TAKE})), forbid(actions=frozenset({TAKE}))):
        assert not matches(rule)
        assert matches(rule, replace(REQUEST, action=TAKE))


@pytest.mark.parametrize("action", Action)
def test_an_allow_rule_is_one_for_list_too(action: Action) -> None:
    """For any action but stash and serve; a forbid rule is not."""
    listing = replace(REQUEST, action=LIST)

    assert (action not in {STASH, Action.SERVE}) == matches(allow(actions=frozenset({action})), listing)
    assert (action is LIST) == matches(forbid(actions=frozenset({action})), listing)


def test_an_empty_entry_may_be_made_for_what_is_allowed() -> None:
    """An allow rule for sockets lets its subject make it; a forbid rule for devices keeps nobody from it."""
    stash = Request(STASH, EMPTY, SUBJECT, (1,))

    assert matches(allow(SOCKETS), stash)
    assert not matches(forbid(listed("kinds", "device")), stash)
    assert matches(allow(unless=listed("filesystems", "proc")), stash)
    assert not matches(forbid(unless=listed("filesystems", "proc")), stash)


def test_one_of_several_sets_is_enough() -> None:
    """Each set makes a rule of its own, under the same id."""
    root, own = SubjectConditions(uid=Ids(frozenset({0}))), SubjectConditions(uid=Ids(frozenset({1})))
    nobody = SubjectConditions(uid=Ids(frozenset({9})))

    assert matches(allow(Conditions(subjects=(root, own))))
    assert matches(forbid(Conditions(subjects=(root, own))))
    assert not matches(allow(Conditions(subjects=(root, nobody))))
    assert matches(forbid(Conditions(subjects=(root, own))), with_subject(uid=UNKNOWN))
    assert not matches(allow(Conditions(subjects=(root, own))), with_subject(uid=UNKNOWN))


def test_unless_is_all_of_it_together() -> None:
    """It excepts where all of its conditions hold, the set's too."""
    own_sockets = replace(SOCKETS, subjects=(SubjectConditions(uid=Ids(frozenset({1}))),))

    assert not matches(allow(unless=own_sockets))
    assert matches(allow(unless=own_sockets), with_entry(kind="pipe"))
    assert matches(allow(unless=own_sockets), with_subject(uid=2))
    assert not matches(forbid(unless=ANYTHING))


def listing(path: str, **values: Any) -> Request:
    """To list a box."""
    return Request(LIST, replace(BOX, path=path, **values), SUBJECT, (1,))


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        (allow(Conditions(entries=("box/**",))), "box", True),
        (allow(Conditions(entries=("box/a/b",))), "box/a", True),
        (allow(Conditions(entries=("box",))), "box", True),
        (allow(Conditions(entries=("box",))), "box/a", False),
        (allow(Conditions(entries=("other/**",))), "box", False),
        (allow(), "box", True),
        (allow(actions=frozenset({STASH})), "box", True),
        (allow(actions=frozenset({STASH, Action.SERVE})), "box", True),
        (allow(actions=frozenset({Action.SERVE})), "box", False),
        (allow(listed("kinds", "socket")), "box", True),
        (allow(listed("labels", "red")), "box", True),
        (allow(stasher_uid(77)), "box", True),
        (allow(subject(uid=Ids(frozenset({1})))), "box", True),
        (allow(subject(uid=Ids(frozenset({0})))), "box", False),
        (allow(unless=subject(uid=Ids(frozenset({1})))), "box", False),
        (allow(unless=subject(uid=Ids(frozenset({0})))), "box", True),
        (allow(unless=listed("kinds", "box")), "box", True),
        (allow(unless=replace(SOCKETS, subjects=(SubjectConditions(uid=Ids(frozenset({1}))),))), "box", True),
        (allow(unless=ANYTHING), "box", False),
    ],
)
def test_boxes_that_lead_to_entries_can_be_listed(rule: Rule, path: str, expected: bool) -> None:
    """By whoever may do anything with what could be below, whatever else is asked of it."""
    assert expected == matches(rule, listing(path))


def test_an_unknown_subject_lists_no_box() -> None:
    """An allow rule has to be true of the subject here too, with `unless`."""
    asked = replace(listing("box"), subject=SubjectFacts())

    assert not matches(allow(subject(uid=Ids(frozenset({1})))), asked)
    assert not matches(allow(unless=subject(uid=Ids(frozenset({1})))), asked)
    assert matches(allow(), asked)


def test_forbid_rules_are_judged_for_boxes_as_for_entries() -> None:
    """By the box's own path, kind and stasher; what else there is to an entry is open."""
    assert matches(forbid(listed("kinds", "box")), listing("box"))
    assert not matches(forbid(SOCKETS), listing("box"))
    assert not matches(forbid(Conditions(entries=("box/**",))), listing("box"))
    assert not matches(forbid(listed("filesystems", "proc")), listing("box"))
    assert matches(forbid(stasher_uid(1)), listing("box"))
    assert not matches(forbid(actions=frozenset({RETRIEVE})), listing("box"))


def test_other_actions_on_boxes_are_as_on_entries() -> None:
    """Only to list them is it enough to be on the way."""
    discard = Request(Action.DISCARD, BOX, SUBJECT, (1,))

    assert not matches(allow(Conditions(entries=("box/**",))), discard)
    assert not matches(allow(SOCKETS), discard)
    assert matches(allow(Conditions(entries=("box",))), discard)


A, B = Conditions(entries=("a/x",)), Conditions(entries=("b",))
OTHER = replace(ENTRY, path="b")


def test_to_retrieve_a_rule_may_match_under_any_name() -> None:
    """Allow rules and forbid rules alike."""
    both = replace(REQUEST, also=(OTHER,))

    assert matches(allow(A), both)
    assert matches(allow(B), both)
    assert matches(forbid(A), both)
    assert matches(forbid(B), both)
    assert not matches(allow(B))


def test_to_take_is_allowed_by_the_name_asked_for() -> None:
    """An allow rule must match under the one that goes, a forbid rule may match under any."""
    both = replace(REQUEST, action=TAKE, also=(OTHER,))

    assert matches(allow(A), both)
    assert not matches(allow(B), both)
    assert matches(forbid(A), both)
    assert matches(forbid(B), both)


@pytest.mark.parametrize("action", ON_ENTRIES - {RETRIEVE, TAKE})
def test_other_actions_are_about_one_name(action: Action) -> None:
    """Whatever other names the file has."""
    both = replace(REQUEST, action=action, also=(OTHER,))

    assert not matches(allow(B), both)
    assert not matches(forbid(B), both)


def test_all_policies_are_judged_together() -> None:
    """One allows, another forbids."""
    policies = [Policy("p", (allow(),)), Policy("q", (forbid(),))]

    assert OracleVerdict(False, False, frozenset({"forbid"})) == verdict(policies, REQUEST)


def test_monitors_refuse_nothing() -> None:
    """In force is what the other policies say, and allow where all only monitor; decided is what all say."""
    watching = Policy("m", (forbid(),), Mode.MONITOR)
    forbidden = frozenset({"forbid"})

    assert OracleVerdict(True, False, forbidden) == verdict([watching], REQUEST)
    assert OracleVerdict(True, False, forbidden) == verdict([watching, Policy("p", (allow(),))], REQUEST)
    assert OracleVerdict(False, False, forbidden) == verdict([watching, Policy("p")], REQUEST)


def test_monitors_allow_nothing() -> None:
    """An allow rule of a policy that monitors is none in force."""
    watching = Policy("m", (allow(),), Mode.MONITOR)

    assert OracleVerdict(False, True, frozenset({"allow"})) == verdict([watching, Policy("p")], REQUEST)


ASSUMING = OpenerUnknown.ASSUME_STASHER


def test_the_stasher_stands_in_for_an_unknown_opener() -> None:
    """In the rules of a policy that says so, and in no other's."""
    policy = Policy("p", (allow(opener_uid(same=True)),))
    assuming = replace(policy, opener_unknown=ASSUMING)
    unknown = with_entry(opener=Person())

    assert verdict([assuming], unknown).allowed
    assert not verdict([policy], unknown).allowed
    assert not verdict([policy, replace(assuming, rules=())], unknown).allowed


def test_nobody_stands_in_for_an_opener_who_is_known_or_not_there_yet() -> None:
    """Not for part of one either."""
    assuming = Policy("p", (allow(opener_uid(1)),), opener_unknown=ASSUMING)
    forbidding = Policy("p", (forbid(opener_uid(2)),), opener_unknown=ASSUMING)

    assert not verdict([assuming], REQUEST).allowed
    assert not verdict([assuming], with_opener(uid=UNKNOWN)).allowed
    assert frozenset({"allow"}) == verdict([assuming], with_entry(opener=Person(OPEN, OPEN, OPEN))).rules
    assert frozenset() == verdict([forbidding], with_entry(opener=Person(OPEN, OPEN, OPEN))).rules


NAMESPACES = {0: None, 1: 0, 2: 1, 3: 2, 4: 2, 5: 1, 6: 0, 7: 6}
"""A tree of user namespaces, each with the one above it."""


@pytest.mark.parametrize("viewer", NAMESPACES)
def test_what_is_said_of_user_namespaces_is_true(viewer: int) -> None:
    """Whichever of them the instance is in: it says nothing false, and tells all that is in sight."""
    for one in NAMESPACES:
        for other in NAMESPACES:
            found = stands_to(_seen(one, viewer), _seen(other, viewer), _seen(viewer, viewer))

            assert found in {UNKNOWN, _relation(one, other)}
            assert found is not UNKNOWN or viewer not in _above(one) or viewer not in _above(other)


def _above(namespace: int | None) -> list[int]:
    above = []
    while namespace is not None:
        above.append(namespace)
        namespace = NAMESPACES[namespace]
    return above


def _seen(namespace: int, viewer: int) -> tuple[int, ...]:
    """The chain as far as the viewer sees it: up to its own, or no further than the namespace itself."""
    chain = _above(namespace)
    return tuple(chain[: chain.index(viewer) + 1]) if viewer in chain else (namespace,)


def _relation(one: int, other: int) -> Relation:
    if one == other:
        return SAME
    return BELOW if other in _above(one) else Relation.OTHER
