"""What libraries in C write to the standard error, caught instead of shown."""

import contextlib
import os
import sys
from collections.abc import Iterator

STDERR = 2


class Captured:
    """Text that comes to be known when the capture ends."""

    def __init__(self) -> None:
        self.text = ""


@contextlib.contextmanager
def captured_stderr() -> Iterator[Captured]:
    """Catch all that this process writes to descriptor 2, other threads' writings too."""
    captured = Captured()
    sys.stderr.flush()
    with _saved(STDERR), os.fdopen(os.memfd_create("stderr"), "w+b") as memory:
        os.dup2(memory.fileno(), STDERR)
        try:
            yield captured
        finally:
            memory.seek(0)
            captured.text = memory.read().decode(errors="replace")


@contextlib.contextmanager
def _saved(fd: int) -> Iterator[None]:
    saved = os.dup(fd)
    try:
        yield
    finally:
        os.dup2(saved, fd)
        os.close(saved)
