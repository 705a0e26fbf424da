"""A file system of the container's that never answers costs the container's own starts, and nobody else anything."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fdstorefs.client.host import NotStarted
from fdstorefs.containers.instances import MOST_STUCK_OF_ONE
from fdstorefs.errors import Overloaded, StoreError
from tests.mount.host.container import Container
from tests.mount.host.service import Service

_NEVER_ANSWERS = """
import ctypes, signal, struct
device = os.open('/dev/fuse', os.O_RDWR)
os.mkdir('/run/stuck')
options = f'fd={device},rootmode=40000,user_id=0,group_id=0'.encode()
assert not ctypes.CDLL(None).mount(b'stuck', b'/run/stuck', b'fuse', 6, options)
server = os.fork()
while not server:
    _, opcode, unique = struct.unpack_from('=IIQ', os.read(device, 1 << 20))
    if opcode == 26:
        body = struct.pack('=4I2HI2HI8I', 7, 31, 65536, 0, 12, 9, 65536, 1, 1, 0, 0, *(0,) * 7)
    elif opcode == 3:
        body = struct.pack('=Q2I6Q10I', 0, 0, 0, 1, 12, 1, 0, 0, 0, 0, 0, 0, 0o040755, 1, 0, 0, 0, 4096, 0)
    else:
        continue
    os.write(device, struct.pack('=IiQ', 16 + len(body), 0, unique) + body)
os.close(device)
"""
_ENDS = "os.kill(server, signal.SIGKILL); os.waitpid(server, 0)"


def failure_of(host: Service, inside: Container, mount: str) -> str:
    """Why it cannot be started there."""
    with pytest.raises(NotStarted) as caught:
        host.start(inside, mount)
    return caught.value.message


def test_starts_that_are_stuck_are_few(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """Each keeps a process that cannot end. When there are so many, the container gets no more, until these end."""
    host, inside, other = service(), container(), container()
    inside.run(_NEVER_ANSWERS)
    places = [f"/run/stuck/{number}/fdstore" for number in range(MOST_STUCK_OF_ONE)]
    with ThreadPoolExecutor(len(places)) as threads:
        failures = set(threads.map(lambda place: failure_of(host, inside, place), places))
    assert {"the container's file systems have not answered within 10 seconds"} == failures

    with pytest.raises(StoreError, match="is ending"):
        host.start(inside, places[0])
    with pytest.raises(Overloaded, match="have not ended"):
        host.start(inside)
    host.start(other)
    inside.run(_ENDS)
    wait_for(lambda: [other.pid] == [each.first for each in host.instances()], what="those to end")
    host.start(inside)
    assert inside.is_mounted()
