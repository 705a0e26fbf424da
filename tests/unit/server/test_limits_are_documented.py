"""docs/limits.md: the numbers there are those in the code."""

import pytest

from fdstorefs.audit.log import MOST_QUEUED
from fdstorefs.core.limits import MOST_NAMES
from fdstorefs.core.name import LABEL_BYTES, NAME_BYTES, PATH_BYTES
from fdstorefs.core.renaming import MOST_MOVED
from fdstorefs.host import descriptors
from fdstorefs.server import budget, doorway, kernel_facts, workers
from fdstorefs.server.fuse import lane, listing, requests, tap
from fdstorefs.server.guarding import releases
from fdstorefs.server.instance import MOST_CLOSERS_OF_ONE
from fdstorefs.server.varlink import connection, dumping, flight, listener, reply, restoring, watching
from fdstorefs.server.varlink import listing as lists
from tests.unit.house.source import REPOSITORY

TEXT = (REPOSITORY / "docs" / "limits.md").read_text()
MEBIBYTE = 1 << 20


def row(beginning: str) -> str:
    """The one line of a table that begins so."""
    (found,) = [line for line in TEXT.splitlines() if line.startswith(f"| {beginning}")]
    return found


@pytest.mark.parametrize(
    ("beginning", "numbers"),
    [
        ("connections to", [budget.CONNECTIONS_OF_ONE, budget.MOST_CONNECTIONS]),
        ("bytes kept", [most // MEBIBYTE for most in listener.MEMORY]),
        ("descriptors received", [budget.HELD_OF_ONE, budget.MOST_HELD]),
        ("descriptors sent", [flight.USERS_PART, flight.PER_CONNECTION, flight.ALL_PART]),
        ("watches", [watching.MOST_WATCHES, watching.BACKLOG_BYTES // 1024]),
        ("handles", [budget.HANDLES_OF_ONE, budget.MOST_HANDLES]),
        ("directories", [listing.OPEN_PER_UID, listing.NAMES_PER_UID]),
        (
            "requests to the mount",
            [*requests.MOST_REQUESTS, *(most // MEBIBYTE for most in requests.MOST_BYTES)],
        ),
        ("reads and writes", [most // MEBIBYTE for most in tap.MOST_KEPT] + [tap.CALL_BYTES // 1024]),
        ("threads for reading", [lane.MOST_THREADS_OF_ONE, lane.MOST_THREADS]),
        ("threads that ask", [workers.MOST_OF_ONE, workers.MOST]),
        ("threads that close", [MOST_CLOSERS_OF_ONE, descriptors._MOST_CLOSERS]),
        ("files that wait", [budget.MOST_UNCLOSED_OF_ONE]),
        ("open files in restores", [budget.STAGED_OF_ONE, budget.MOST_STAGED]),
        (
            "restores that are not",
            [restoring.MOST_AT_A_TIME, restoring.MOST_NAMES, restoring.MOST_BYTES // MEBIBYTE],
        ),
        ("lists in one reply", [lists.MOST_AT_A_TIME, reply.MAX_REPLY // MEBIBYTE]),
        ("dumps that are not", [dumping.MOST_AT_A_TIME]),
        ("user namespaces held", [kernel_facts.MOST_HELD_OF_ONE, kernel_facts.MOST_HELD]),
        ("a name", [NAME_BYTES, PATH_BYTES]),
        ("names of one", [MOST_NAMES]),
        ("a label", [LABEL_BYTES]),
        ("entries and boxes in a box", [MOST_MOVED]),
        ("the audit log's", [MOST_QUEUED]),
        ("what waits for an enforcer", [releases.MOST_WAITING, int(releases.LONGEST_SECONDS)]),
    ],
)
def test_a_row_has_the_numbers(beginning: str, numbers: list[int]) -> None:
    """Each of them, as it is written for people."""
    found = row(beginning)

    assert [] == [number for number in numbers if f"{number:,}" not in found]


def test_the_parts_of_a_descriptor_limit() -> None:
    """For each of the limits in the table."""
    parts = [budget.budget(limit) for limit in (524_288, 20_000, 1024)]
    rows = {
        "open files, with": [each.stored for each in parts],
        "connections, four": [each.connections.total for each in parts],
        "received with": [each.held.total for each in parts],
        "user namespaces of": [each.namespaces for each in parts],
    }

    assert [] == [
        (beginning, number)
        for beginning, numbers in rows.items()
        for number in numbers
        if f"| {number:,} |" not in row(beginning)
    ]


def test_what_is_said_in_words() -> None:
    """Numbers outside of tables."""
    assert 4 == connection.CALLS_AT_ONCE
    assert f"up to {requests.MOST_REFUSED_AT_ONCE} such answers" in TEXT
    assert "with up to four calls" in TEXT
    assert f"to be accepted: {doorway.BACKLOG}, first come" in TEXT
