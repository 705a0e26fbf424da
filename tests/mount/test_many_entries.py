"""Fifteen thousand entries: all there, all listed, and gone without a trace."""

import json
import os
import sys
from collections.abc import Callable

import fdstorefs
from tests.mount.instance import Instance

ENTRIES = 15_000
LOT = 200


def descriptors_of(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def stash_pipes(store: fdstorefs.Store, first: int, count: int) -> None:
    """Stash so many different open files, and keep none of them open here."""
    ends = [end for _ in range(count // 2) for end in os.pipe()]
    try:
        store.stash_many({f"e{first + index:05}": end for index, end in enumerate(ends)})
    finally:
        for end in ends:
            os.close(end)


def test_fifteen_thousand_entries_come_and_go(
    running_instance: Callable[..., Instance], wait_for: Callable[..., object]
) -> None:
    """Each is an open file of its own; `ls` shows them all; discarding them closes every one."""
    instance = running_instance()
    with fdstorefs.connect(instance.mount) as store:
        assert store.status().entries == 0
        stash_pipes(store, 0, LOT)
        # From the first decision on the server also holds the process that asks.
        before = descriptors_of(instance.pid) - LOT
        for first in range(LOT, ENTRIES, LOT):
            stash_pipes(store, first, LOT)
        names = [f"e{number:05}" for number in range(ENTRIES)]

        # One more or less while the journal is written anew.
        assert descriptors_of(instance.pid) - before - ENTRIES in (-1, 0, 1)
        listed = instance.run([sys.executable, "-m", "fdstorefs", "--at", instance.mount, "ls", "--json"])
        assert [entry["name"] for entry in json.loads(listed.stdout)] == names
        by_mount = instance.run(["ls", "-U", instance.mount])
        assert sorted(by_mount.stdout.split()) == names
        with store.retrieve("e14999") as last, store.retrieve("e14998") as partner:
            os.write(last.fileno(), b"through the last pipe")
            assert os.read(partner.fileno(), 100) == b"through the last pipe"

        for first in range(0, ENTRIES, LOT):
            store.discard(*names[first : first + LOT])
        wait_for(lambda: descriptors_of(instance.pid) <= before, 10, "the server to close what it held")
