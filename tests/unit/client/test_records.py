"""What an instance tells becomes named tuples."""

import re
from typing import Any

import pytest

from fdstorefs import interface
from fdstorefs.client.records import (
    Change,
    Description,
    Entry,
    Stasher,
    Status,
    change_from,
    description_from,
    entries_from,
    entry_from,
    status_from,
)
from fdstorefs.errors import ProtocolError

PLAIN = {
    "name": "web",
    "kind": "socket",
    "id": 2,
    "uid": 1000,
    "gid": 1000,
    "mode": 0o600,
    "links": 1,
    "created": 5,
    "changed": 6,
    "sealed": False,
}
STASHER = {"pid": 7, "uid": 1000, "gid": 1000, "command": "python3"}
STATUS = {
    "version": "0.1.0",
    "mount": "/run/fdstore",
    "pid": 7,
    "uid": 0,
    "enforcement": "daemon",
    "enforcementReason": "mode bits",
    "entries": 1,
    "descriptors": 1,
    "limit": 20000,
    "connections": 1,
    "started": 5,
    "method": "mount",
    "kernel": "6.1",
}


def fields_of(what: str) -> list[str]:
    """The fields of a type or of a method's reply, as the interface definition has them."""
    found = re.search(
        rf"(?:type {what} |method {what}\(.*?\) -> )\((.*?)\)", interface.description(), re.DOTALL
    )
    assert found is not None
    return re.findall(r"(\w+):", found[1])


@pytest.mark.parametrize(("what", "record"), [("Entry", Entry), ("Stasher", Stasher), ("Watch", Change)])
def test_fields_are_those_of_the_interface(what: str, record: Any) -> None:
    """Each named tuple has every field of the interface, in its order."""
    assert fields_of(what) == list(record._fields)


def test_status_fields_are_those_of_the_interface() -> None:
    """But for `enforcementReason`, which is spelled as Python spells it."""
    expected = [re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in fields_of("Status")]

    assert expected == list(Status._fields)


def test_a_plain_entry_leaves_the_rest_none() -> None:
    """What the caller may not know isn't there."""
    entry = entry_from(PLAIN)

    assert Entry("web", "socket", 2, 1000, 1000, 0o600, 1, 5, 6, False) == entry
    assert entry.description is None


def test_a_full_entry_has_its_stasher() -> None:
    """The stasher is a tuple of its own."""
    entry = entry_from({**PLAIN, "label": "prod", "stasher": STASHER})

    assert Stasher(7, 1000, 1000, "python3") == entry.stasher
    assert entry.label == "prod"


def test_fields_of_a_newer_instance_are_passed_over() -> None:
    """An old client reads what it knows."""
    assert entry_from(PLAIN) == entry_from({**PLAIN, "colour": "red"})


@pytest.mark.parametrize("record", [None, 7, [], {}, {"name": "web"}, {**PLAIN, "stasher": 7}])
def test_what_is_no_entry_breaks_the_protocol(record: Any) -> None:
    """It isn't half read."""
    with pytest.raises(ProtocolError):
        entry_from(record)


def test_a_listing_is_read_in_its_order() -> None:
    """The instance has sorted it."""
    entries = entries_from({"entries": [PLAIN, {**PLAIN, "name": "a"}]})

    assert ["web", "a"] == [entry.name for entry in entries]


@pytest.mark.parametrize("parameters", [{}, {"entries": 7}, {"entries": [7]}])
def test_a_listing_of_nothing_breaks_the_protocol(parameters: dict[str, Any]) -> None:
    """An empty store lists an empty list."""
    with pytest.raises(ProtocolError):
        entries_from(parameters)


def test_a_description_has_the_entry_and_what_the_kernel_says() -> None:
    """Details are text by topic."""
    expected = Description(entry_from(PLAIN), {"tcp": "listening"})

    assert expected == description_from({"entry": PLAIN, "details": {"tcp": "listening"}})


def test_a_change_may_have_no_entry() -> None:
    """The first one says that the watch has begun."""
    assert Change("ready", None, None) == change_from({"change": "ready"})


def test_a_rename_has_the_former_name() -> None:
    """The entry has the new one."""
    expected = Change("renamed", entry_from(PLAIN), "old")

    assert expected == change_from({"change": "renamed", "entry": PLAIN, "former": "old"})


def test_a_change_that_does_not_say_what_changed_breaks_the_protocol() -> None:
    """There is no default."""
    with pytest.raises(ProtocolError):
        change_from({"entry": PLAIN})


def test_a_status_may_lack_keeper_and_policy() -> None:
    """They are None where there is none."""
    status = status_from(STATUS)

    assert (None, None, "mode bits") == (status.keeper, status.policy, status.enforcement_reason)


def test_a_status_without_the_rest_breaks_the_protocol() -> None:
    """Nothing in it is made up."""
    with pytest.raises(ProtocolError):
        status_from({"version": "0.1.0"})
