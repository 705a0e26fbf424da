"""The commands that docs/kernel-enforcement.md shows do what it says, with the real enforcer."""

import re
import subprocess

from tests.kernel.enforcer_process import EnforcerProcess
from tests.mount.cast import REPOSITORY
from tests.mount.test_readme import bin_directory, commands

DOCUMENT = REPOSITORY / "docs" / "kernel-enforcement.md"
SECONDS = 600


def test_the_commands_work(enforcer: EnforcerProcess) -> None:
    """One after the other, as root: the instance is guarded by the kernel, and so is what is put there."""
    shown = commands(DOCUMENT, "kernel")
    script = "\n".join(["set -e", f"PATH={bin_directory()}:$PATH", *shown])
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert {"policy", "mount", "put", "stat"} <= {verb for line in shown for verb in line.split()}
    assert re.search(r"^only-the-service +enforce ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^enforcement +kernel: ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^guarded +yes", done.stdout, re.MULTILINE), done.stdout
