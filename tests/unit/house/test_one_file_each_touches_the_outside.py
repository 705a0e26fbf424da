"""Each part of the outside world is touched by one file, so that one file has to be read to know how.

import-linter checks imports between parts; this checks what it can't see: strings, calls, imports by name.
An exception stands here with its reason, and goes when it is no longer needed.
"""

import ast
from collections.abc import Callable, Iterable

import pytest

from tests.unit.house.source import Source, parse, sources

READS_PROC = {
    "host/procfs.py": "the one",
    "client/address.py": "reaches a socket whose path is too long through a descriptor of its directory",
    "keeper/dying.py": "looks whether its server is stuck in its end, without the rest of fdstorefs",
    "server/mount_holders.py": "looks for who keeps a mount busy, after the kernel has said so",
    "server/namespaces.py": "writes its own id maps, and mounts from its own descriptors",
}
OPENS_DEV_FUSE = {"server/mounting.py": "the one"}
COPIES_DESCRIPTORS = {
    "host/descriptors.py": "the one",
    "bpf/captured_output.py": "its own standard error, which the BPF compiler writes to",
}
LIBRARIES = {
    "bcc": {"bpf/loader.py": "the one"},
    "ctypes": {"host/syscalls.py": "the one", "bpf/syscall.py": "bpf(2), which bpf/ needs without host/"},
    "pyfuse3": {"server/fuse/names.py": "the one"},
    "pyroute2": {"host/sockets.py": "the one"},
}
HOLDS_STORED_DESCRIPTORS = ("bpf/", "core/", "host/", "policy/", "server/")


def reads_proc(source: Source) -> bool:
    """Whether it has a path in /proc."""
    return any(text.startswith("/proc") for text in source.strings())


def opens_dev_fuse(source: Source) -> bool:
    """Whether it names the FUSE device other than in a sentence."""
    return "/dev/fuse" in source.strings()


def copies_descriptors(source: Source) -> bool:
    """Whether it is on the server's side and duplicates descriptors: the client's are no stored ones."""
    copying = ("os.dup", "os.dup2", "fcntl.F_DUPFD", "fcntl.F_DUPFD_CLOEXEC")
    return source.name.startswith(HOLDS_STORED_DESCRIPTORS) and not set(copying).isdisjoint(
        source.attributes()
    )


def imports(library: str) -> Callable[[Source], bool]:
    """Whether it imports a library, at its top or later, by statement or by name."""
    return lambda source: any(name.partition(".")[0] == library for name in source.imports())


def names_of(found: Iterable[Source]) -> set[str]:
    """The names of source files."""
    return {source.name for source in found}


def test_only_procfs_reads_proc() -> None:
    """No file but host/procfs.py has paths in /proc, and no exception is out of date."""
    assert set(READS_PROC) == names_of(filter(reads_proc, sources()))


def test_only_mounting_opens_the_fuse_device() -> None:
    """No file but server/mounting.py opens /dev/fuse."""
    assert set(OPENS_DEV_FUSE) == names_of(filter(opens_dev_fuse, sources()))


def test_only_descriptors_copies_stored_descriptors() -> None:
    """On the server's side no file but host/descriptors.py duplicates a stored descriptor."""
    assert set(COPIES_DESCRIPTORS) == names_of(filter(copies_descriptors, sources()))


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_one_file_imports_it(library: str) -> None:
    """Neither by statement nor by name does a second file import it."""
    assert names_of(filter(imports(library), sources())) <= set(LIBRARIES[library])


def test_the_policy_language_imports_nothing_of_ours() -> None:
    """Not even the package itself, whose `__init__` is the client."""
    ours = {
        (source.name, name)
        for source in sources()
        if source.name.startswith("policy/")
        for name in source.imports()
        if name.partition(".")[0] == "fdstorefs" and not name.startswith("fdstorefs.policy")
    }

    assert set() == ours


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (reads_proc, "open('/proc/self/status')"),
        (reads_proc, "open(f'/proc/{pid}/status')"),
        (opens_dev_fuse, "DEVICE = '/dev/fuse'"),
        (copies_descriptors, "import os\nos.dup(3)"),
        (copies_descriptors, "from os import dup"),
        (copies_descriptors, "import fcntl\nfcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, 10)"),
        (imports("bcc"), "def load():\n    from bcc import BPF"),
        (imports("bcc"), "import importlib\nimportlib.import_module('bcc.table')"),
    ],
)
def test_these_checks_can_fail(check: Callable[[Source], bool], text: str) -> None:
    """Each check finds what it looks for in a file that does it."""
    assert check(parse("server/example.py", text))


def test_prose_is_not_code() -> None:
    """A docstring may speak of /proc."""
    prose = ast.unparse(ast.parse('"""/proc is not read here."""\ndef f():\n    "/proc neither"'))

    assert not reads_proc(parse("server/example.py", prose))
