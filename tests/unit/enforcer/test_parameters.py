"""Parameters of calls are taken as the interface has them, and anything else is refused by name."""

from typing import Any

import pytest

from fdstorefs.enforcer import parameters
from fdstorefs.enforcer.guarding import Name
from fdstorefs.errors import InvalidArgument
from fdstorefs.server.varlink.standard import StandardError

NAME = {
    "path": "a/b",
    "inode": 2**63 + 5,
    "label": None,
    "stasher": {"uid": 0, "gid": 0, "capabilities": 2**41 - 1, "userns": [5, 6]},
}
NOBODY = {"uid": None, "gid": None, "capabilities": None, "userns": None}


def files(**changes: Any) -> dict[str, Any]:
    """A call of Guard with one file and one name."""
    return {"files": [{"descriptor": 0, "names": [NAME | changes]}]}


def test_a_name_as_a_server_gives_it() -> None:
    """With all that is known of who stashed."""
    (given,) = parameters.files(files())

    assert (0, (Name("a/b", 2**63 + 5, None, 0, 2**41 - 1, (5, 6)),)) == given


def test_who_stashed_need_not_be_known() -> None:
    """Null is no number."""
    (given,) = parameters.files(files(stasher=NOBODY))

    name = given.names[0]
    assert (None, None, None) == (name.uid, name.capabilities, name.userns)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": 5},
        {"path": "x" * 5000},
        {"inode": -1},
        {"inode": 2**64},
        {"inode": True},
        {"inode": 1.0},
        {"label": 5},
        {"label": "x" * 500},
        {"stasher": None},
        {"stasher": {"uid": -1}},
        {"stasher": {"uid": 2**32 - 1}},
        {"stasher": {"capabilities": 2**64}},
        {"stasher": {"userns": []}},
        {"stasher": {"userns": [2**32]}},
        {"stasher": {"more": 1}},
        {"more": 1},
    ],
)
def test_what_is_no_name(changes: dict[str, Any]) -> None:
    """Everything is checked before anything is done."""
    with pytest.raises(StandardError):
        parameters.files(files(**changes))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"files": 5},
        {"files": [5]},
        {"files": [{"descriptor": 0}]},
        {"files": [{"descriptor": 253, "names": []}]},
    ],
)
def test_what_are_no_files(given: dict[str, Any]) -> None:
    """Likewise."""
    with pytest.raises(StandardError):
        parameters.files(given)


def test_more_names_than_a_file_can_have() -> None:
    """There is an end to what one call can cost."""
    with pytest.raises(InvalidArgument):
        parameters.files({"files": [{"descriptor": 0, "names": [NAME] * 65}]})


def test_userns_chains_have_an_end() -> None:
    """As in the kernel."""
    with pytest.raises(InvalidArgument):
        parameters.files(files(stasher={"userns": list(range(34))}))
