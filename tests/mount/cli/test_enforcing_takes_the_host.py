"""`fdstorefs enforce` elsewhere than on the host itself is denied, before anything is looked for or changed."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.test_readme import bin_directory

SECONDS = 60
CHROOT = """
set -e
mount -t tmpfs root "$1"
for each in /*; do
    if [ -L "$each" ]; then cp -a "$each" "$1/"
    elif [ -d "$each" ]; then mkdir "$1$each"; mount --rbind "$each" "$1$each"
    fi
done
root=$1
shift
exec chroot "$root" "$@"
"""
USER = ["unshare", "--user", "--map-root-user"]
PID = ["unshare", "--pid", "--fork", "--mount-proc"]
CGROUP = ["unshare", "--cgroup"]
CHANGED_ROOT = ["unshare", "--mount", "sh", "-c", CHROOT, "sh"]


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is denied for that")
@pytest.mark.parametrize("how", [USER, PID, CGROUP, CHANGED_ROOT], ids=["user", "pid", "cgroup", "root"])
def test_elsewhere(how: list[str], tmp_path: Path) -> None:
    """Exit code 3, and where it may run."""
    place = tmp_path / "place"
    place.mkdir()
    there = [*how, str(place)] if how is CHANGED_ROOT else how
    command = [*there, str(bin_directory() / "fdstorefs"), "enforce", "--socket", f"{place}/enforcer.sock"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (3, "") == (done.returncode, done.stdout), done.stderr
    assert done.stderr.startswith("fdstorefs: the enforcer ")
    assert "\n  hint: " in done.stderr
    assert [] == list(place.iterdir())
