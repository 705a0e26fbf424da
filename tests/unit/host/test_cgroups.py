"""Which cgroup a task is in, on hosts with cgroups of version 2, of version 1, and of both."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("2:name=systemd-like:/a\n0::/b\n", Place("/b", 2)),
        ("2:cpu,name=systemd:/a\n0::/b\n", Place("/b", 2)),
        ("0::/a\r0::/system.slice/web.service\n", Place("/a\r0::/system.slice/web.service", 2)),
        ("0::/a\r1:name=systemd:/web\n", Place("/a\r1:name=systemd:/web", 2)),
        ("3:cpu:/a:name=systemd:/web\n0::/b\n", Place("/b", 2)),
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
        "3:cpu:/a:name=systemd:/web\n",
        "0::/a\n0::/b\n",
        "0::/a\n0::/a\n",
        "2:name=systemd:/a\n1:name=systemd:/b\n",
        "0::/a\nno line of a cgroup file\n",
        "0:cpu:/a\n",
    ],
)
def test_what_cannot_be_named_is_unknown(text: str) -> None:
    """No hierarchy, a place outside our cgroup namespace, a cgroup that is gone: never another place instead."""
    assert place_in(text.encode()) is None


_NAMES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"0::/x", b":name=systemd:/", b":", b"/"]
        ),
        st.binary(max_size=4).map(lambda text: text.replace(b"\0", b"").replace(b"\n", b"")),
    ),
    max_size=8,
).map(b"".join)


@given(_NAMES, _NAMES, _NAMES)
def test_no_name_of_a_cgroup_passes_for_another(unified: bytes, systemd: bytes, other: bytes) -> None:
    """Whatever bytes it has: a name may have all but NUL and the end of a line."""
    version_2 = b"0::/" + unified + b"\n"
    rest = b"4:cpu,cpuacct:/" + other + b"\n"
    version_1 = rest + b"1:name=systemd:/" + systemd + b"\n"
    wanted_2 = told(b"/" + unified, 2)

    assert wanted_2 == place_in(version_2)
    assert wanted_2 == place_in(rest + version_2)
    assert place_in(rest) is None
    assert told(b"/" + systemd, 1) == place_in(version_1)
    assert (wanted_2 if unified else told(b"/" + systemd, 1)) == place_in(version_1 + version_2)


def told(path: bytes, version: int) -> Place | None:
    """The place with exactly this path, if it is one that can be told."""
    unknown = path == b"/.." or path.startswith(b"/../") or path.endswith(b" (deleted)")
    return None if unknown else Place(os.fsdecode(path), version)


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
