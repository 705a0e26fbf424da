"""Clients that never rest, while one server after another takes over: no request fails, and nothing is lost."""

import json
import os
import sys
from pathlib import Path

import pytest

import fdstorefs
from tests.mount import stress_client
from tests.mount.fuse.mounted_store import REPOSITORY
from tests.mount.handover.succession import Succession

CLIENTS = 4
SUCCESSIONS = int(os.environ.get("FDSTOREFS_SUCCESSIONS", "6"))
SECONDS = 2.5 * SUCCESSIONS


@pytest.mark.timeout(20 * SUCCESSIONS + 60)
def test_store_and_clients_agree(store: Succession) -> None:
    """Each client knows what its names hold, and no call of it has failed."""
    os.mkdir(store.path("shared"))
    program = Path(stress_client.__file__)
    clients = [
        store.client_of([sys.executable, str(program), store.root, str(number), str(SECONDS)], cwd=REPOSITORY)
        for number in range(CLIENTS)
    ]
    for _ in range(SUCCESSIONS):
        store.succeed()
    outcomes = [json.loads(client.communicate(timeout=120)[0]) for client in clients]
    expected = {name: token for outcome in outcomes for name, token in outcome["model"].items()}
    with fdstorefs.connect(store.root) as connected:
        own = [entry.name for entry in connected.list("*-*")]
        found = {
            name: os.pread(file.fileno(), 200, 0).decode()
            for name, file in connected.retrieve_many(own).items()
        }

    assert expected == found
    assert [0] * CLIENTS == [client.returncode for client in clients]
    assert all(outcome["operations"] > 10 * SUCCESSIONS for outcome in outcomes)
