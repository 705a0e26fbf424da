"""Listings, portraits, states and changes, as they are printed."""

import json

import pytest

from fdstorefs.cli import listing, portrait
from fdstorefs.cli.checkup import can_serve, report
from fdstorefs.cli.columns import align
from fdstorefs.cli.commands import status, watch
from fdstorefs.cli.finding import Finding
from fdstorefs.cli.json_output import listing as json_listing
from fdstorefs.cli.visible import visible
from fdstorefs.client.records import Change, Description, Opener, Status
from tests.unit.cli.conftest import BOX, NOON, WEB

pytestmark = pytest.mark.usefixtures("utc", "ann")

STATUS = Status(
    version="0.1.0",
    mount="/run/fdstore",
    pid=77,
    keeper=None,
    uid=1000,
    enforcement="daemon",
    enforcement_reason="mode bits",
    policy="default",
    policy_status={
        "names": ["default"],
        "files": [],
        "hash": "5c",
        "generation": 1,
        "mode": "enforce",
        "rules": 2,
        "loaded": NOON,
        "applies": True,
        "warnings": 0,
        "rejected": None,
    },
    audit=[],
    entries=2,
    descriptors=1,
    limit=20000,
    connections=1,
    started=NOON,
    method="mount",
    kernel="6.1.0",
)


def test_a_long_listing() -> None:
    """Columns with a header."""
    expected = [
        "MODE        OWNER  GROUP  CHANGED           KIND    NAME        WHAT IT IS",
        "drwxr-x---  ann    7      2023-11-15 12:00  box     listen/     sealed",
        "-rw-------  ann    ann    2023-11-15 12:01  socket  listen/web  tcp 127.0.0.1:8080 listening [prod]",
    ]

    assert expected == listing.long_lines([BOX, WEB])


def test_a_long_listing_of_nothing_is_nothing() -> None:
    """No header stands alone."""
    assert listing.long_lines([]) == []


def test_a_long_listing_shows_what_the_kernel_does_not_guard() -> None:
    """What it guards is the rule, and where it guards nothing there is nothing to say."""
    ends = [
        line.rpartition("  ")[2]
        for guarded in (True, False, None)
        for line in listing.long_lines([WEB._replace(guarded=guarded)])[1:]
    ]

    assert [
        "tcp 127.0.0.1:8080 listening [prod]",
        "tcp 127.0.0.1:8080 listening unguarded [prod]",
        "tcp 127.0.0.1:8080 listening [prod]",
    ] == ends


def test_colours_leave_the_columns_where_they_are() -> None:
    """Without its escapes a coloured listing is the plain one."""
    coloured = listing.long_lines([BOX, WEB], in_colour=True)

    assert "\x1b[1;34mlisten/\x1b[0m" in coloured[1]
    assert listing.long_lines([BOX, WEB]) == [
        line.replace("\x1b[1;34m", "").replace("\x1b[1;35m", "").replace("\x1b[0m", "") for line in coloured
    ]


def test_a_portrait() -> None:
    """What isn't known is left out, what the kernel tells stands below."""
    expected = [
        "name        listen/web",
        "kind        socket",
        "what it is  tcp 127.0.0.1:8080 listening",
        "open file   number 7, 2 names",
        "open for    reading and writing",
        "inode       4711 on device 0:8 (sockfs)",
        "owner       ann (1000), group ann (1000)",
        "mode        0600 -rw-------",
        "label       prod",
        "stashed by  python3, pid 77, user ann (1000)",
        "created     2023-11-15 12:00:00",
        "changed     2023-11-15 12:01:01",
        "",
        "flags    02",
        "backlog  128",
    ]

    assert expected == portrait.portrait(Description(WEB, {"flags": "02", "backlog": "128"}))


@pytest.mark.parametrize(
    ("guarded", "unguarded", "expected"),
    [
        (True, None, "yes: the kernel enforces the policy on it wherever it goes"),
        (
            False,
            "authority",
            "no: whoever opened it is none of the instance's users, so it is not the instance's to guard",
        ),
        (False, "too\nmany", "no: too\\nmany"),
        (False, None, "no: the kernel does not enforce the policy on it"),
    ],
)
def test_a_portrait_under_kernel_enforcement(guarded: bool, unguarded: str | None, expected: str) -> None:
    """Who opened it, whether it is guarded, and why not."""
    entry = WEB._replace(guarded=guarded, unguarded=unguarded, opener=Opener(1000, 1000, 0x400, (7,)))
    lines = portrait.portrait(Description(entry, {}))

    assert "opened by   user ann (1000), capabilities 0x400" in lines
    assert f"guarded     {expected}" in lines


def test_a_portrait_of_what_somebody_from_elsewhere_opened() -> None:
    """He has no number in the instance's user namespace."""
    entry = WEB._replace(guarded=False, opener=Opener(None, None, 0, ()))

    assert "opened by   a user without a number here, no capabilities" in portrait.portrait(
        Description(entry, {})
    )


def test_a_portrait_of_a_box() -> None:
    """A box holds no file."""
    expected = [
        "name     listen",
        "kind     box, sealed",
        "owner    ann (1000), group 7",
        "mode     0750 drwxr-x---",
        "created  2023-11-15 12:00:00",
        "changed  2023-11-15 12:00:00",
    ]

    assert expected == portrait.portrait(Description(BOX, {}))


def test_a_status() -> None:
    """It says what there is not, too."""
    expected = [
        "mount          /run/fdstore",
        "server         pid 77, user ann, fdstorefs 0.1.0",
        "serving since  2023-11-15 12:00:00",
        "keeper         none: what is stashed is lost with the server",
        "enforcement    daemon: mode bits",
        "policy         default: an entry is its stasher's alone",
        "audit          none",
        "entries        2",
        "descriptors    1 of 20000 at most",
        "connections    1",
        "mounted by     mount, on Linux 6.1.0",
    ]

    assert expected == status.lines(STATUS)


@pytest.mark.parametrize(
    ("guarded", "unguarded", "expected"),
    [
        (1, 0, ["guarded        1 open file"]),
        (12, 3, ["guarded        12 open files, 3 not; `fdstorefs ls -l` shows which"]),
        (None, None, []),
    ],
)
def test_a_status_under_kernel_enforcement(
    guarded: int | None, unguarded: int | None, expected: list[str]
) -> None:
    """How many files the kernel guards; not for others than the owner, nor where it guards none."""
    enforced = STATUS._replace(
        enforcement="kernel", enforcement_reason="the\nkernel", guarded=guarded, unguarded=unguarded
    )
    lines = status.lines(enforced)

    assert "enforcement    kernel: the\\nkernel" in lines
    assert expected == [line for line in lines if line.startswith("guarded")]


def test_a_status_of_an_instance_with_policies() -> None:
    """What is in force, that the files say something else by now, and where the log goes."""
    policies = {
        **(STATUS.policy_status or {}),
        "names": ["web", "base"],
        "files": ["/p/web.yaml", "/p/base.yaml"],
        "mode": "mixed",
        "generation": 3,
        "rejected": {"when": NOON, "message": "/p/web.yaml:3:5: unknown-key"},
    }
    audit = [{"target": "journald", "written": 7, "lost": 0}, {"target": "file:/a", "written": 5, "lost": 2}]
    expected = [
        "policy         web, base: mixed, 2 rules, generation 3",
        "rejected       a change of 2023-11-15 12:00:00: /p/web.yaml:3:5: unknown-key",
        "audit          journald (7 records), file:/a (5 records, 2 lost)",
    ]

    assert expected == status.lines(STATUS._replace(policy_status=policies, audit=audit))[5:8]


def test_a_status_says_that_no_policy_applies() -> None:
    """Whoever gave a policy must not believe that it is in force."""
    policies = {**(STATUS.policy_status or {}), "files": ["/p/web.yaml"], "applies": False}

    assert (
        "policy         default: none of those given is for this instance, so an entry is its stasher's alone"
        in status.lines(STATUS._replace(policy_status=policies))
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change("stashed", WEB, None), "12:00:00 stashed   listen/web (socket)"),
        (Change("renamed", WEB, "old"), "12:00:00 renamed   old -> listen/web (socket)"),
        (Change("discarded", None, None), "12:00:00 discarded"),
    ],
)
def test_a_change(change: Change, expected: str) -> None:
    """One line each."""
    assert expected == watch.line(change, NOON)


def test_json_has_every_field_and_the_stasher_as_an_object() -> None:
    """Scripts find every key, null where it isn't known."""
    box, web = json.loads(json_listing([BOX, WEB]))

    assert set(WEB._fields) == set(box) == set(web)
    assert box["description"] is None
    assert {"pid": 77, "uid": 1000, "gid": 1000, "command": "python3"} == web["stasher"]


def test_json_has_the_opener_as_an_object() -> None:
    """As the kernel knows him."""
    (web,) = json.loads(json_listing([WEB._replace(guarded=True, opener=Opener(None, 7, 0x400, (7, 1)))]))

    assert {"uid": None, "gid": 7, "capabilities": 0x400, "userns": [7, 1]} == web["opener"]
    assert web["guarded"] is True


def test_json_of_nothing_is_an_empty_list() -> None:
    """Not the empty string."""
    assert json_listing([]) == "[]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", "web"),
        ("größe", "größe"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("back\\slash", "back\\\\slash"),
        (b"\xff".decode(errors="surrogateescape"), "\\xff"),
        ("\ud800", "\\ud800"),
        ("\u202e", "\\u202e"),
    ],
)
def test_text_from_elsewhere_cannot_draw(text: str, expected: str) -> None:
    """A name moves no cursor, fakes no line, turns no text around, and escapes are not ambiguous."""
    assert expected == visible(text)


def test_columns_of_nothing() -> None:
    """No rows, no lines."""
    assert align([]) == []


def test_findings_say_what_to_do() -> None:
    """What is missing comes with what it is for and how to get it."""
    findings = [
        Finding("kcmp", "ok", "works", "identity", None),
        Finding("BTF", "missing", "not there", "enforcing", "run another kernel"),
    ]
    expected = [
        "ok       kcmp  works",
        "missing  BTF   not there",
        "         for: enforcing",
        "         do:  run another kernel",
    ]

    assert expected == report(findings)


def test_without_fuse_nothing_can_serve() -> None:
    """Everything else may be there."""
    there = [Finding(name, "ok", "", "", None) for name in ("user namespaces", "fusermount3")]

    assert not can_serve(there)
    assert can_serve([*there, Finding("/dev/fuse", "ok", "", "", None)])
