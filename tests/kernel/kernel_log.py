"""The enforcer's audit log, as a test reads it."""

import json
from pathlib import Path
from typing import Any

from tests.mount.waiting import wait_for

Record = dict[str, Any]

SECONDS = 60


class KernelLog:
    """The records of the kernel's verdicts from a moment on: that at which this is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = path.stat().st_size if path.exists() else 0

    def records(self) -> list[Record]:
        """All that have been written since."""
        with self._path.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [each for each in records if each["type"] == "verdict" and each["source"] == "kernel"]

    def denials(self, pid: int | None = None) -> list[Record]:
        """Those of what was refused, to one process if given."""
        return [
            each
            for each in self.records()
            if each["verdict"] == "deny" and pid in (None, each["subject"]["pid"])
        ]

    def denial(self, pid: int, after: int = 0, **wanted: object) -> Record:
        """The first of something refused to a process, with these fields; waits for it to be written.

        It happened later than `after`, in ns since boot (CLOCK_BOOTTIME).
        """

        def found() -> list[Record]:
            later = [each for each in self.denials(pid) if each["boottime"] > after]
            return [each for each in later if wanted.items() <= each.items()]

        return wait_for(found, SECONDS, f"a denial to process {pid} with {wanted}")[0]
