"""The whole log of a compiler or verifier, left in a file for a report of the bug: too long for a message."""

import contextlib
import os
from pathlib import Path

from fdstorefs.bpf.kernel_error import KernelError

DIRECTORY = Path("/run/fdstorefs")
NAME = "kernel-programs.log"


def keep_log(error: KernelError, directory: Path = DIRECTORY) -> None:
    """Write an error's log, and say in its hint where. One that can't be written changes nothing about the error."""
    if not error.log:
        return
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o755, exist_ok=True)
        _replace(directory / NAME, f"{error.message}\n\n{error.log}")
        error.hint = f"{error.hint}: `{directory / NAME}`"


def _replace(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(aside, flags, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)
