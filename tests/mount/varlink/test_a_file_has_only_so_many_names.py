"""The number of names of one open file is limited, over the socket as in the mount."""

import os

import pytest

from fdstorefs.core.limits import MOST_NAMES
from tests.mount.varlink.raw_client import ErrorReply, RawClient


def named(count: int, index: int = 0) -> list[dict[str, object]]:
    """So many names for one descriptor of a message."""
    return [{"name": f"{index}-{number}", "fileDescriptor": index} for number in range(count)]


def test_one_call_gives_no_more(client: RawClient, some_file: int) -> None:
    """All or none: with one too many none is stored, whatever else is in the call."""
    other = os.memfd_create("other")
    entries = [*named(1, 1), *named(MOST_NAMES + 1)]
    with pytest.raises(ErrorReply) as refused:
        client.call("Stash", {"entries": entries}, [some_file, other])

    assert ("TooManyNames", f"0-{MOST_NAMES}") == (refused.value.identifier, refused.value.parameters["name"])
    assert client.call("List") == {"entries": []}
    client.call("Stash", {"entries": entries[:-1]}, [some_file, other])
    os.close(other)


def test_nor_does_a_link_after_that(client: RawClient, some_file: int) -> None:
    """Until a name is gone."""
    client.call("Stash", {"entries": named(MOST_NAMES)}, [some_file])
    with pytest.raises(ErrorReply) as refused:
        client.call("Link", {"from": "0-0", "to": "more"})

    assert "TooManyNames" == refused.value.identifier
    client.call("Discard", {"names": ["0-1"]})
    client.call("Link", {"from": "0-0", "to": "more"})
