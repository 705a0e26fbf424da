"""The first promise: whatever a process in a container stashes, another gets back as the very same open file."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.instance import Instance

FDSTOREFS = f"{sys.executable} -m fdstorefs"
HERE = Path(__file__).parent


@pytest.fixture
def container(running_instance: Callable[..., Instance]) -> Instance:
    """An instance in user and mount namespaces that an ordinary user made, as `unshare -Urm` makes them."""
    return running_instance(user="daemon", namespace=True, map_root=True)


def in_bash(container: Instance, script: str) -> str:
    """What a bash in the container prints; it must end well."""
    done = container.run(["bash", "-ec", script])
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_file_as_the_readme_does_it(container: Instance) -> None:
    """`echo 5 >$M/host`, then `exec --stdin host -- cat` prints the file."""
    mount = container.mount
    printed = in_bash(
        container,
        f"exec 5</etc/hostname; echo 5 >{mount}/host; {FDSTOREFS} --at {mount} exec --stdin host -- cat",
    )

    assert printed == Path("/etc/hostname").read_text()


@pytest.mark.parametrize("kind", ["regular", "socket", "pipe", "memfd", "directory", "eventfd", "device"])
def test_every_kind_comes_back_as_the_same_open_file(container: Instance, kind: str) -> None:
    """kcmp(2) says that the descriptor which went in by number is the one that `exec` hands out."""
    program = [sys.executable, str(HERE / "same_open_file.py"), container.mount, kind]
    done = container.run(program)

    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{kind}: the same open file\n")


def test_a_seek_through_the_copy_moves_the_original(container: Instance) -> None:
    """One open file has one offset, however many descriptors."""
    mount = container.mount
    script = f"""
exec 5</etc/passwd
echo 5 > {mount}/passwd
{FDSTOREFS} --at {mount} exec --fd 7=passwd -- python3 -c 'import os; os.lseek(7, 5, os.SEEK_SET)'
grep pos: /proc/$$/fdinfo/5
"""

    assert in_bash(container, script).split() == ["pos:", "5"]
