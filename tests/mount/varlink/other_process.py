"""Clients in processes of their own, as other users: what they do is a piece of Python text."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mount.varlink import raw_client

# A process of another user may not be able to read this tree, so it gets the client as text.
CLIENT = Path(raw_client.__file__).read_text(encoding="utf-8")
SECONDS = 30

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def start_as(
    uid: int, text: str, *arguments: str, groups: Sequence[int] = (), pass_fds: Sequence[int] = ()
) -> subprocess.Popen[str]:
    """Start Python `text` as this user (and group of the same number); its input and output are pipes."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", f"import sys\n{CLIENT}\n{text}", *arguments],
        user=uid,
        group=uid,
        extra_groups=groups,
        pass_fds=pass_fds,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )


def run_as(
    uid: int, text: str, *arguments: str, groups: Sequence[int] = (), pass_fds: Sequence[int] = ()
) -> str:
    """The same to its end; returns what it printed."""
    with start_as(uid, text, *arguments, groups=groups, pass_fds=pass_fds) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0
    return printed.strip()
