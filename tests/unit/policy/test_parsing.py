"""What each key becomes in the model."""

import pytest

from fdstorefs.policy.model import Conditions, Ids, InstanceMatch, PolicyLimits, SubjectConditions
from fdstorefs.policy.vocabulary import (
    ON_ENTRIES,
    Action,
    Effect,
    Mode,
    OpenerUnknown,
    Relation,
    capability_mask,
)
from tests.unit.policy.loading import loaded, policy, rule

WEB_TIER = """\
version: 1
name: web-tier
mode: enforce                 # or monitor: decide and log, refuse nothing
instances: [/run/fdstore]     # mount paths, {owner: uid}, {cgroup: subtree}; absent: every instance
limits: {entries: 4096, entries-per-uid: 512, entries-per-box: 64}
sets:
  web: {uid: [www-data], cgroup: [/system.slice/nginx.service]}
rules:
  - id: web-takes-listeners
    effect: allow
    actions: [retrieve]
    entries: ["listen/**"]
    kinds: [socket]
    subject: {set: web, capabilities: [CAP_NET_BIND_SERVICE]}
  - id: nobody-borrows-power
    effect: forbid
    actions: [retrieve, take]
    filesystems: [cgroup2, proc, sysfs, devtmpfs]
    unless: {opener: {capabilities: no-more-than-subject, userns: same-or-below}}
"""

SETS = "sets: {web: {uid: www-data}, ops: {gid: adm}}"
USE_ALL = "  - {id: uses-all, effect: allow, actions: list, subject: {set: [web, ops]}}"


def test_a_whole_policy() -> None:
    """The example of the language, key by key."""
    found = policy(WEB_TIER)
    takes, borrows = found.rules

    assert ("web-tier", Mode.ENFORCE, OpenerUnknown.DENY) == (found.name, found.mode, found.opener_unknown)
    assert (InstanceMatch(mount="/run/fdstore"),) == found.instances
    assert PolicyLimits(4096, 512, 64) == found.limits
    assert ("web-takes-listeners", Effect.ALLOW, {Action.RETRIEVE}) == (takes.id, takes.effect, takes.actions)
    assert takes.when == Conditions(
        entries=("listen/**",),
        kinds=frozenset({"socket"}),
        subjects=(
            SubjectConditions(
                uid=Ids(frozenset({33})),
                cgroups=("/system.slice/nginx.service",),
                capabilities=capability_mask(["CAP_NET_BIND_SERVICE"]),
            ),
        ),
    )
    assert "web" == takes.when.subjects[0].set_name
    assert (Effect.FORBID, {Action.RETRIEVE, Action.TAKE}) == (borrows.effect, borrows.actions)
    assert Conditions(filesystems=frozenset({"cgroup2", "proc", "sysfs", "devtmpfs"})) == borrows.when
    same_or_below = frozenset({Relation.SAME, Relation.BELOW})
    assert Conditions(opener_no_more=True, opener_userns=same_or_below) == borrows.unless


def test_the_least_that_a_policy_is() -> None:
    """What isn't given has its default; the name is the file's."""
    found = policy("version: 1\nrules: []\n")

    assert ("a", (), Mode.ENFORCE, None) == (found.name, found.rules, found.mode, found.instances)
    assert (PolicyLimits(), OpenerUnknown.DENY, "") == (found.limits, found.opener_unknown, found.description)


def test_the_other_words_at_the_top() -> None:
    """Monitor mode and the stasher in the opener's place."""
    found = policy(
        "version: 1\nmode: monitor\nopener-unknown: assume-stasher\ndescription: >\n  a\n  b\nrules: []\n"
    )

    assert (Mode.MONITOR, OpenerUnknown.ASSUME_STASHER, "a b\n") == (
        found.mode,
        found.opener_unknown,
        found.description,
    )


def test_instances() -> None:
    """Paths, owners and cgroups, each an alternative; one value stands for a list of one."""
    found = policy("version: 1\ninstances: [/run/*, {owner: [root, 5]}, {cgroup: /a}]\nrules: []\n")
    one = policy("version: 1\ninstances: {owner: host:1000}\nrules: []\n")

    assert (
        InstanceMatch(mount="/run/*"),
        InstanceMatch(owner=Ids(frozenset({0, 5}))),
        InstanceMatch(cgroup="/a"),
    ) == found.instances
    assert (InstanceMatch(owner=Ids(frozenset({0}))),) == one.instances


@pytest.mark.parametrize(
    ("written", "actions"),
    [
        ("list", {Action.LIST}),
        ("[take, seal]", {Action.TAKE, Action.SEAL}),
        ("all", ON_ENTRIES),
        ("[all, serve]", frozenset(Action)),
        ("serve", {Action.SERVE}),
    ],
)
def test_actions(written: str, actions: frozenset[Action]) -> None:
    """`all` is every action but `serve`."""
    assert actions == rule(f"actions: {written}").actions


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("kinds: [socket, empty]", Conditions(kinds=frozenset({"socket", "empty"}))),
        ("filesystems: fuse.sshfs", Conditions(filesystems=frozenset({"fuse.sshfs"}))),
        ("access: [r, path]", Conditions(access=frozenset({"r", "path"}))),
        ("guarded: true", Conditions(guarded=True)),
        ("guarded: false", Conditions(guarded=False)),
        ('labels: ["1", a b]', Conditions(labels=frozenset({"1", "a b"}))),
        ("entries: a/*", Conditions(entries=("a/*",))),
        ("stasher: {uid: same}", Conditions(stasher_uid=Ids(same=True))),
        ("stasher: {uid: [same, 0], userns: below}", Conditions(
            stasher_uid=Ids(frozenset({0}), same=True), stasher_userns=frozenset({Relation.BELOW}))),
        ("opener: {uid: root}", Conditions(opener_uid=Ids(frozenset({0})))),
        ("opener: {capabilities: CAP_CHOWN}", Conditions(opener_capabilities=1)),
        ("opener: {capabilities: [CAP_KILL, no-more-than-subject]}", Conditions(
            opener_capabilities=1 << 5, opener_no_more=True)),
        ("opener: {userns: same}", Conditions(opener_userns=frozenset({Relation.SAME}))),
        ("subject: {uid: [alice, 7]}", Conditions(subjects=(SubjectConditions(uid=Ids(frozenset({1000, 7}))),))),
        ("subject: {gid: [adm, host:100]}", Conditions(subjects=(SubjectConditions(gid=Ids(frozenset({4, 5}))),))),
        ("subject: {cgroup: /}", Conditions(subjects=(SubjectConditions(cgroups=("/",)),))),
        ("subject: {userns: same}", Conditions(subjects=(SubjectConditions(userns=frozenset({Relation.SAME})),))),
    ],
)  # fmt: skip
def test_conditions(written: str, when: Conditions) -> None:
    """Each key of a rule, and the same within `unless`."""
    assert when == rule(f"actions: list, {written}").when
    if "entries" not in written:
        assert when == rule(f"actions: list, unless: {{{written}}}").unless


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        ("host:1000", Ids(frozenset({0}))),
        ("host:1001", Ids(undetermined=True)),
        ("[host:1001, host:1000, 3, root]", Ids(frozenset({0, 3}), undetermined=True)),
        ("4294967294", Ids(frozenset({4294967294}))),
    ],
)
def test_ids_of_the_host(written: str, ids: Ids) -> None:
    """An id of the host that can't be told is kept as such: it may be anybody's."""
    assert (SubjectConditions(uid=ids),) == rule(f"actions: list, subject: {{uid: {written}}}").when.subjects


@pytest.mark.parametrize(("written", "log"), [("", None), (", log: true", True), (", log: false", False)])
def test_log(written: str, log: bool | None) -> None:
    """Not given is neither."""
    assert log is rule(f"actions: list{written}").log


def test_several_sets() -> None:
    """Each is an alternative, with what stands beside them in every one."""
    found = policy(
        f"version: 1\n{SETS}\nrules:\n"
        "  - {id: x, effect: allow, actions: list, subject: {set: [web, ops], userns: same}}\n"
    )
    same = frozenset({Relation.SAME})

    assert (
        SubjectConditions(uid=Ids(frozenset({33})), userns=same),
        SubjectConditions(gid=Ids(frozenset({4})), userns=same),
    ) == found.rules[0].when.subjects
    assert ["web", "ops"] == [subject.set_name for subject in found.rules[0].when.subjects]


def test_a_set_may_stand_below_the_rules() -> None:
    """The order of keys doesn't matter."""
    found = policy(f"rules:\n{USE_ALL}\n{SETS}\nversion: 1\n")

    assert 2 == len(found.rules[0].when.subjects)


def test_a_set_in_unless() -> None:
    """One set can be named there."""
    found = rule("actions: list, unless: {subject: {set: web}}", sets="sets: {web: {uid: 0}}")

    assert found.unless == Conditions(subjects=(SubjectConditions(uid=Ids(frozenset({0}))),))


def test_sets_are_each_files_own() -> None:
    """A set of one policy is not known in another."""
    one = f"version: 1\n{SETS}\nrules:\n{USE_ALL}\n"
    other = "version: 1\nrules:\n  - {id: b, effect: allow, actions: list, subject: {set: web}}\n"

    assert ["unknown-set"] == [each.code for each in loaded(one, other).diagnostics]


def test_spans_say_where_keys_stand() -> None:
    """Each by its whole name; the id, which every rule has, where its text is."""
    found = policy(WEB_TIER)
    places = {name: (span.line, span.column, span.end_column) for name, span in found.rules[1].spans.items()}

    assert {
        "id": (14, 8, 28),
        "effect": (15, 4, 10),
        "actions": (16, 4, 11),
        "filesystems": (17, 4, 15),
        "unless": (18, 4, 10),
        "unless.opener": (18, 13, 19),
        "unless.opener.capabilities": (18, 22, 34),
        "unless.opener.userns": (18, 58, 64),
    } == places
    assert (1, 6, 14) == (
        found.spans["name"].line,
        found.spans["name"].column,
        found.spans["name"].end_column,
    )
    assert (2, 0, 4) == (found.spans["mode"].line, found.spans["mode"].column, found.spans["mode"].end_column)
