"""No file of the container is opened, executed or imported by the processes of its instance."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.mount.cast import REPOSITORY
from tests.mount.host.container import Container
from tests.mount.host.service import Service

LIBRARY = os.path.dirname(os.__file__)
POISONED = ("/etc", LIBRARY, *(path for path in sys.path if "site-packages" in path), str(REPOSITORY))
"""Where Python, the C library and the loader look for what they read and execute; covered in the container."""

_POISON = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_init1(0o4000)
NAMES = {
    "/etc": "nsswitch.conf passwd group ld.so.preload ld.so.cache localtime hosts resolv.conf host.conf locale.alias",
}
MODULES = "os pwd json ctypes socket subprocess encodings/__init__ encodings/idna fdstorefs/__init__ sitecustomize"
def poison(directory):
    assert not libc.mount(b'tmpfs', directory.encode(), b'tmpfs', 0, None), ctypes.get_errno()
    names = NAMES.get(directory, " ".join(f"{name}.py" for name in MODULES.split())).split()
    for name in names:
        os.makedirs(os.path.dirname(f"{directory}/{name}"), exist_ok=True)
        with open(f"{directory}/{name}", "w") as file:
            file.write("open('/run/executed', 'w').close()\\n")
    for place, directories, files in os.walk(directory):
        # IN_ACCESS, IN_OPEN: of the directory and of whatever is in it.
        assert libc.inotify_add_watch(watch, place.encode(), 0x1 | 0x20) >= 0
def seen():
    try:
        events = os.read(watch, 1 << 20)
    except BlockingIOError:
        return []
    names, at = [], 0
    while at < len(events):
        length = struct.unpack_from("I", events, at + 12)[0]
        names.append(events[at + 16 : at + 16 + length].rstrip(b"\\0").decode())
        at += 16 + length
    return names
"""


def poison(inside: Container) -> None:
    """Put poisoned files in the place of the container's, and watch who opens them."""
    inside.run(_POISON)
    for directory in POISONED:
        if Path(directory).is_dir():
            inside.run(f"poison({directory!r})")
    inside.run("seen()")


def test_the_watch_sees_who_opens_one(container: Callable[..., Container]) -> None:
    """The test that follows would fail if somebody did."""
    inside = container()
    poison(inside)
    inside.run("open('/etc/passwd').close()")

    assert ["passwd"] == inside.ask("seen()")


def test_none_is_opened(
    service: Callable[..., Service], container: Callable[..., Container], wait_for: Callable[..., None]
) -> None:
    """While an instance starts, serves, is killed and serves again, and ends."""
    host, inside = service(), container()
    poison(inside)
    started = host.start(inside)
    inside.stash("kept", "a word")
    os.kill(started.server or 0, 9)
    wait_for(
        lambda: (
            not inside.errno_of("os.stat('/run/fdstore/kept')")
            and host.instances()[0].server != started.server
        ),
        what="another server",
    )
    host.stop(inside)

    assert [] == inside.ask("seen()")
    assert not inside.ask("os.path.exists('/run/executed')")
