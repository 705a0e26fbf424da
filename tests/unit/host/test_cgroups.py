"""Which cgroup a task is in, on hosts with cgroups of version 2, of version 1, and of both."""

import os
from pathlib import Path

import pytest

from fdstorefs.host import cgroups, mount_table
from fdstorefs.host.cgroups import Place, place_in
from fdstorefs.host.task import Task

UNIFIED = "0::/system.slice/web.service\n"
HYBRID = "4:memory:/a\n1:name=systemd:/system.slice/web.service\n0::/system.slice/web.service\n"
LEGACY = "4:memory:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/system.slice/web.service\n"
MOUNTED_LATER = f"{LEGACY}0::/\n"
BESIDE = "1:name=systemd:/\n0::/pod\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (UNIFIED, Place("/system.slice/web.service", 2)),
        (HYBRID, Place("/system.slice/web.service", 2)),
        (LEGACY, Place("/system.slice/web.service", 1)),
        (MOUNTED_LATER, Place("/system.slice/web.service", 1)),
        (BESIDE, Place("/pod", 2)),
        ("0::/\n", Place("/", 2)),
        ("1:name=systemd:/\n0::/\n", Place("/", 1)),
        ("0::/a:b/name=systemd:/c\n", Place("/a:b/name=systemd:/c", 2)),
        ("1:name=systemd:/a:b\n", Place("/a:b", 1)),
        ("0::/..a/b\n", Place("/..a/b", 2)),
    ],
)
def test_the_place_is_the_hierarchys_that_tracks_services(text: str, place: Place) -> None:
    """That of version 2, or systemd's own where version 2 tells nothing."""
    assert place == place_in(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4:memory:/a\n",
        "0::/..\n",
        "0::/../sibling\n",
        "0::/gone (deleted)\n",
        "1:name=systemd:/../sibling\n",
        "1:name=systemd:/gone (deleted)\n",
        "1:name=systemd:/web.service\n0::/../sibling\n",
    ],
)
def test_what_cannot_be_named_is_unknown(text: str) -> None:
    """No hierarchy, a place outside our cgroup namespace, a cgroup that is gone: never another place instead."""
    assert place_in(text.encode()) is None


def test_a_name_that_is_not_utf_8_is_kept() -> None:
    """Names are bytes; they come out as Python writes such paths."""
    assert Place(os.fsdecode(b"/\xff"), 2) == place_in(b"0::/\xff\n")


MOUNTS = b"""\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
41 31 0:38 /part /mnt rw - cgroup2 cgroup2 rw
42 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_the_hierarchy_is_found_wherever_it_is_mounted() -> None:
    """As a whole: a mount of a part of it has other paths."""
    table = mount_table.parse(MOUNTS)

    assert "/sys/fs/cgroup/unified" == cgroups.find_hierarchy(table)
    assert cgroups.find_hierarchy(mount_table.parse(MOUNTS.split(b"42 ")[0])) is None


def test_the_number_is_the_inode_of_its_directory(tmp_path: Path) -> None:
    """And there is none for version 1, without a mount, or once it is gone."""
    (tmp_path / "web").mkdir()
    hierarchy = str(tmp_path)

    assert (tmp_path / "web").stat().st_ino == cgroups.number_of(Place("/web", 2), hierarchy)
    assert cgroups.number_of(Place("/web", 1), hierarchy) is None
    assert cgroups.number_of(Place("/web", 2), None) is None
    assert cgroups.number_of(Place("/gone", 2), hierarchy) is None


def test_our_own_place() -> None:
    """What the kernel's file says of us."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    place = Task(os.getpid()).cgroup()

    assert place is not None
    assert any(line.endswith(f":{place.path}") for line in lines)
