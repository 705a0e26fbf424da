"""Standard error: for whoever runs the server in the foreground or collects its output."""

import os
import select
from collections.abc import Sequence

from fdstorefs.audit.sinks.sink import Taken
from fdstorefs.audit.sinks.stream import LineWriter

STDERR = 2


class StderrSink:
    """Writes to standard error, a line at a time up to PIPE_BUF: others write there too."""

    def __init__(self, fd: int = STDERR) -> None:
        self._fd = fd
        self._lines = LineWriter(select.PIPE_BUF)

    def open(self) -> None:
        """Raises OSError if standard error is closed."""
        os.fstat(self._fd)

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Write the lines."""
        return self._lines.write(self._fd, lines)

    def sync(self) -> OSError | None:
        """What was written is out of our hands."""
        return None

    def close(self) -> None:
        """It is not ours to close."""
