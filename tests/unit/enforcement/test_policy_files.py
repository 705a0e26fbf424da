"""Policy files: which are read, and which are not because somebody else could have written them."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.files import MAX_BYTES
from fdstorefs.server.enforcement.policy_files import read_policy_files, sources_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that only its owner writes to."""
    made = tmp_path / "policies"
    made.mkdir(mode=0o755)
    return made


def write(path: Path, text: str = "version: 1\n", mode: int = 0o644) -> Path:
    """A file with exactly this mode."""
    path.write_text(text)
    path.chmod(mode)
    return path


def names_read(*paths: Path) -> list[str]:
    """The names of the files that are read, without their directories."""
    return [os.path.basename(file.name) for file in read_policy_files([str(path) for path in paths])]


def codes(paths: Sequence[Path]) -> list[str]:
    """What is wrong."""
    with pytest.raises(PolicyError) as caught:
        read_policy_files([str(path) for path in paths])
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_a_directory_stands_for_the_policies_in_it(directory: Path) -> None:
    """Sorted; cases, hidden files, editors' backups and other files are none."""
    for name in (
        "b.yaml",
        "a.yml",
        "c.cases.yaml",
        ".d.yaml",
        "e.yaml~",
        "#f.yaml#",
        "#g.yaml",
        "h.txt",
        ".#i.yaml",
    ):
        write(directory / name)
    (directory / "below").mkdir()
    write(directory / "below" / "j.yaml")

    assert names_read(directory) == ["a.yml", "b.yaml"]


def test_files_come_in_the_order_given(directory: Path) -> None:
    """Whatever they are called."""
    second, first = write(directory / "a.yaml"), write(directory / "rules.txt", "version: 1 # x\n")

    assert names_read(first, second) == ["rules.txt", "a.yaml"]
    assert read_policy_files([str(first)])[0].data == b"version: 1 # x\n"


def test_a_directory_without_policies_is_an_error(directory: Path) -> None:
    """To serve by none would be another thing than what was asked for."""
    write(directory / "readme.txt")

    assert codes([directory]) == ["no-policies"]


def test_everything_that_is_wrong_is_said_at_once(directory: Path) -> None:
    """Each of the paths."""
    shared = write(directory / "shared.yaml", mode=0o666)
    missing = directory / "missing.yaml"

    assert codes([missing, shared]) == ["unreadable-file", "unsafe-file"]


@pytest.mark.parametrize("mode", [0o646, 0o664, 0o666])
def test_a_file_that_others_can_write_is_refused(directory: Path, mode: int) -> None:
    """Who can write the policy makes it; by group or for all."""
    assert codes([write(directory / "a.yaml", mode=mode)]) == ["unsafe-file"]


@pytest.mark.parametrize("mode", [0o757, 0o775, 0o1777])
def test_a_directory_of_policies_that_others_can_write_is_refused(directory: Path, mode: int) -> None:
    """They could take a policy away, or, where that is kept from them, link to one that is not meant."""
    write(directory / "a.yaml")
    directory.chmod(mode)

    assert codes([directory]) == ["unsafe-file"]


def test_a_file_below_a_directory_that_others_can_write_is_refused(directory: Path) -> None:
    """They could put another one in its place."""
    (directory / "deep").mkdir(mode=0o755)
    policy = write(directory / "deep" / "a.yaml")
    directory.chmod(0o777)

    assert codes([policy]) == ["unsafe-file"]


def test_a_link_is_followed_to_where_others_can_write(directory: Path, tmp_path: Path) -> None:
    """What it leads to counts."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    write(tmp_path / "open" / "a.yaml")
    (directory / "a.yaml").symlink_to("../open/a.yaml")

    assert codes([directory]) == ["unsafe-file"]


def test_links_among_trusted_directories_are_followed(directory: Path) -> None:
    """As a ConfigMap's are made: a directory behind a link that can be swapped."""
    (directory / "..1").mkdir()
    write(directory / "..1" / "a.yaml", "version: 1 # 1\n")
    (directory / "..data").symlink_to("..1")
    (directory / "a.yaml").symlink_to("..data/a.yaml")
    found = read_policy_files([str(directory)])

    assert [(os.path.basename(file.name), file.data) for file in found] == [("a.yaml", b"version: 1 # 1\n")]


@needs_root
def test_a_file_of_somebody_else_is_refused(directory: Path) -> None:
    """Neither root's nor the server's."""
    policy = write(directory / "a.yaml")
    os.chown(policy, 12345, -1)

    assert codes([policy]) == ["unsafe-file"]


@needs_root
def test_a_link_of_somebody_else_is_refused(directory: Path) -> None:
    """It leads wherever that user wants."""
    write(directory / "a.yaml")
    (directory / "b.yaml").symlink_to("a.yaml")
    os.lchown(directory / "b.yaml", 12345, -1)

    assert codes([directory / "b.yaml"]) == ["unsafe-file"]


@pytest.mark.parametrize("make", ["fifo", "directory"])
def test_only_files_are_read(directory: Path, make: str) -> None:
    """A fifo that nobody writes to doesn't hang the server."""
    policy = directory / "a.yaml"
    os.mkfifo(policy, 0o600) if make == "fifo" else policy.mkdir()

    assert codes([directory]) == ["not-a-file"]


def test_a_link_that_leads_in_a_circle_is_an_error(directory: Path) -> None:
    """It ends."""
    (directory / "a.yaml").symlink_to("b.yaml")
    (directory / "b.yaml").symlink_to("a.yaml")

    assert codes([directory / "a.yaml"]) == ["unreadable-file"]


def test_a_file_that_is_too_long_is_not_read_to_its_end(directory: Path) -> None:
    """Nor is it a policy."""
    policy = write(directory / "a.yaml")
    os.truncate(policy, MAX_BYTES * 1000)
    files = read_policy_files([str(policy)])

    assert len(files[0].data) == MAX_BYTES + 1
    with pytest.raises(PolicyError, match="more than"):
        sources_of(files)


def test_nothing_stays_open(directory: Path) -> None:
    """Whether it was read or refused."""
    before = os.listdir("/proc/self/fd")
    read_policy_files([str(write(directory / "a.yaml"))])
    codes([write(directory / "b.yaml", mode=0o666)])

    assert len(os.listdir("/proc/self/fd")) == len(before)
