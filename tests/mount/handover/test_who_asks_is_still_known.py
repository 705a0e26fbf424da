"""What is known of whoever has connected is known to the server that takes over, too."""

import os
from collections.abc import Callable

from tests.mount.fuse.mounted_store import Client, next_line
from tests.mount.handover.succession import Succession

Change = Callable[[], None]

GROUP = 4242
ASKING = """
import json, os, socket, sys
connected = socket.socket(socket.AF_UNIX)
connected.connect(sys.argv[1] + '/.fdstore')
for line in sys.stdin:
    call = {'method': 'io.fdstorefs.Store.Retrieve', 'parameters': {'names': [line.strip()]}}
    connected.send(json.dumps(call).encode() + b'\\0')
    reply, descriptors, _, _ = socket.recv_fds(connected, 65536, 1)
    print(json.loads(reply.rstrip(b'\\0')).get('error', len(descriptors)), flush=True)
"""


def asks(client: Client, name: str) -> str:
    """Have a client retrieve, and what came of it."""
    assert client.stdin is not None
    client.stdin.write(f"{name}\n")
    client.stdin.flush()
    return next_line(client)


def stash_for_group(store: Succession, name: str, group: int) -> None:
    """An entry that only root and a group may have."""
    store.stash(name, store.memfd(b"data"), mode=0o660)
    os.chown(store.path(name), 0, group)


def test_the_groups_of_a_client(store: Succession, change: Change) -> None:
    """Whether it has asked for something before or not."""
    stash_for_group(store, "ours", GROUP)
    stash_for_group(store, "others", GROUP + 1)
    clients = [store.client(ASKING, user=1, group=1, extra_groups=[GROUP]) for _ in range(2)]
    before = asks(clients[0], "ours")
    asks(clients[1], "nothing")
    change()
    after = [asks(client, name) for client in clients for name in ("ours", "others")]

    assert "1" == before
    assert ["1", "io.fdstorefs.Store.Denied"] * 2 == after
