"""Many clients at once, through socket and mount: the store and what they know agree, and nothing leaks."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.instance import Instance

CLIENTS = 16
SECONDS = float(os.environ.get("FDSTOREFS_STRESS_SECONDS", "60"))
CLIENT = Path(__file__).with_name("stress_client.py")


def descriptors_of(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.timeout(SECONDS + 120)
def test_sixteen_clients_at_random_leave_store_and_model_in_agreement(
    running_instance: Callable[..., Instance], wait_for: Callable[..., object]
) -> None:
    """Stash, retrieve, take, rename and discard for a minute; then every name holds what its client says."""
    instance = running_instance()
    with fdstorefs.connect(instance.mount) as store:
        store.make_box("shared")
        before = descriptors_of(instance.pid)
        argv = [sys.executable, str(CLIENT), instance.mount]
        clients = [instance.popen([*argv, str(number), str(SECONDS)]) for number in range(CLIENTS)]
        outcomes = [client.communicate(timeout=SECONDS + 60) for client in clients]

        assert [error for _, error in outcomes if error] == []
        expected = {name: token for out, _ in outcomes for name, token in json.loads(out)["model"].items()}
        own = [entry.name for entry in store.list("*-*")]
        found = {name: os.pread(file.fileno(), 200, 0).decode() for name, file in held(store, own)}
        assert found == expected
        assert all(json.loads(out)["operations"] > 100 for out, _ in outcomes)

        store.discard(*own, *[entry.name for entry in store.list("shared/*")])
        wait_for(lambda: descriptors_of(instance.pid) <= before, 10, "the server to close what it held")
        assert store.status().entries == 1


def held(store: fdstorefs.Store, names: list[str]) -> list[tuple[str, fdstorefs.Retrieved]]:
    """All of these, retrieved."""
    return list(store.retrieve_many(names).items())
