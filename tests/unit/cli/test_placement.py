"""Which number each entry gets in a command, and what the environment says."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.cli.failure import UsageError
from fdstorefs.cli.placement import environment, listen_name, parse_numbered, plan


def test_plain_names_have_the_numbers_from_three_up() -> None:
    """In their order, as LISTEN_FDS wants it."""
    assert {3: "web", 4: "admin"} == plan(None, [], ["web", "admin"]).at


def test_the_others_have_the_numbers_they_ask_for() -> None:
    """--stdin is --fd 0=."""
    assert {0: "notes", 2: "log", 9: "x", 3: "web"} == plan("notes", [(2, "log"), (9, "x")], ["web"]).at


def test_one_entry_may_have_several_numbers() -> None:
    """It is retrieved once."""
    placement = plan(None, [(1, "log"), (2, "log")], ["log"])

    assert {1: "log", 2: "log", 3: "log"} == placement.at
    assert placement.names == ["log"]


@pytest.mark.parametrize(
    ("stdin", "numbered", "listed", "message"),
    [
        ("a", [(0, "b")], [], "descriptor 0 can't be both `a` and `b`"),
        (None, [(5, "a"), (5, "b")], [], "descriptor 5 can't be both `a` and `b`"),
        (
            None,
            [(4, "c")],
            ["a", "b"],
            "descriptor 4 can't be both `b` and `c`, the plain names have those from 3 up",
        ),
        (None, [], [], "no entry named"),
    ],
)
def test_two_entries_cannot_have_one_number(
    stdin: str | None, numbered: list[tuple[int, str]], listed: list[str], message: str
) -> None:
    """Nothing is guessed."""
    with pytest.raises(UsageError) as raised:
        plan(stdin, numbered, listed)

    assert raised.value.message == message


@pytest.mark.parametrize("text", ["", "5", "=a", "5=", "-1=a", "x=a", "1.5=a", "²=a"])
def test_what_is_not_number_and_name_is_refused(text: str) -> None:
    """`--fd` wants N=NAME."""
    with pytest.raises(ValueError, match=f"^{text}$"):
        parse_numbered(text)


def test_a_name_may_hold_an_equals_sign() -> None:
    """The first one counts."""
    assert (7, "a=b") == parse_numbered("7=a=b")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("listen/web", "listen/web"),
        ("a:b", "a_b"),
        ("größe", "gr__e"),
        ("tab\there", "tab_here"),
        ("with space~", "with space~"),
        ("x" * 300, "x" * 255),
    ],
)
def test_names_in_the_environment_are_what_systemd_allows(name: str, expected: str) -> None:
    """A colon would be read as two names."""
    assert expected == listen_name(name)


@given(st.text())
def test_no_name_adds_a_name(name: str) -> None:
    """However it is spelled, it is one valid name."""
    shown = listen_name(name)

    assert ":" not in shown
    assert shown.isascii()
    assert shown == "" or shown.isprintable()


def test_the_environment_tells_of_the_plain_names_only() -> None:
    """The count is of those from 3 up; the mount is passed on."""
    made = environment(plan("notes", [(9, "log")], ["web", "a:b"]), {"HOME": "/", "LISTEN_FDS": "7"}, "/mnt")

    assert ("2", "web:a_b", str(os.getpid())) == (
        made["LISTEN_FDS"],
        made["LISTEN_FDNAMES"],
        made["LISTEN_PID"],
    )
    assert ("/", "/mnt") == (made["HOME"], made["FDSTOREFS_MOUNT"])


def test_without_plain_names_nothing_is_said_to_be_listening() -> None:
    """What this process was told about its own descriptors isn't true of the command's."""
    inherited = {"LISTEN_FDS": "1", "LISTEN_PID": "7", "LISTEN_FDNAMES": "x", "LISTEN_PIDFDID": "9"}

    assert {"FDSTOREFS_MOUNT": "/mnt"} == environment(plan("notes", [], []), inherited, "/mnt")
