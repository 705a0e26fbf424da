"""The names in a policy are those of the host's user database, and ids of the host are ours only there."""

import grp
import os
import pwd
import subprocess
import sys

import pytest

from fdstorefs.host.user_database import INITIAL_USER_NAMESPACE, HostNames


def test_names_are_looked_up() -> None:
    """Users and groups have their numbers."""
    names = HostNames()
    user, group = pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name

    assert (0, 0) == (names.user(user), names.group(group))


@pytest.mark.parametrize("name", ["nobody is called this", "", "zero\0byte", "\udcff"])
def test_a_name_that_nobody_has_is_nobodys(name: str) -> None:
    """Even one that nobody could have."""
    names = HostNames()

    assert (None, None) == (names.user(name), names.group(name))


def test_ids_of_the_host_are_ours_on_the_host() -> None:
    """In the first user namespace they are the same; in any other they cannot be told."""
    on_host = os.stat("/proc/self/ns/user").st_ino == INITIAL_USER_NAMESPACE
    names = HostNames()

    assert ((1000, 1000) if on_host else (None, None)) == (names.host_uid(1000), names.host_gid(1000))


def test_inside_a_user_namespace_ids_of_the_host_cannot_be_told() -> None:
    """Not even those that the namespace maps."""
    code = "from fdstorefs.host.user_database import HostNames as N; print(N().host_uid(0), N().host_gid(0))"
    inside = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if "unshare" in inside.stderr:
        pytest.skip("needs user namespaces: sysctl user.max_user_namespaces")

    assert "None None\n" == inside.stdout
