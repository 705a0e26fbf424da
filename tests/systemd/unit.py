"""A unit of the machine's systemd, and what it has written to the journal."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.mount.waiting import wait_for

SECONDS = 120
PATIENCE_SECONDS = 700


class Unit:
    """The unit of a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def add(self, text: str) -> None:
        """Have a drop-in for it."""
        place = Path("/etc/systemd/system") / f"{self.name}.d"
        place.mkdir()
        (place / "tests.conf").write_text(text)
        _done("systemctl", "daemon-reload")

    def systemctl(self, *verb: str) -> str:
        """Have systemctl do something with it; fails with its words and the unit's if that does."""
        done = subprocess.run(["systemctl", *verb, self.name], capture_output=True, text=True, check=False)
        assert 0 == done.returncode, f"systemctl {verb}: {done.stderr}\n{self.said()}"
        return done.stdout

    def start(self) -> None:
        """Start it; returns when it says that it is ready."""
        self.systemctl("start")

    def says(self, name: str) -> str:
        """What systemd says of it."""
        return self.systemctl("show", "--value", "--property", name).strip()

    @property
    def pid(self) -> int:
        """Its main process."""
        return int(self.says("MainPID"))

    def wait_for(self, state: str) -> None:
        """Until it is in that state."""
        wait_for(lambda: self.says("ActiveState") == state, PATIENCE_SECONDS, f"{self.name} to be {state}")

    def said(self) -> str:
        """Its last words in the journal."""
        return _done("journalctl", "--no-pager", "--lines", "50", "--unit", self.name)

    def records(self) -> list[dict[str, Any]]:
        """Its audit records in the journal."""
        fields = ("--output", "cat", "--output-fields", "FDSTOREFS_RECORD")
        lines = _done("journalctl", *fields, "--identifier", "fdstorefs").splitlines()
        return [json.loads(line) for line in lines]

    def denial(self, pid: int) -> dict[str, Any]:
        """The kernel's record of the last that was refused to a process; waits for it."""

        def found() -> list[dict[str, Any]]:
            verdicts = [each for each in self.records() if each["type"] == "verdict"]
            return [each for each in verdicts if (each["verdict"], each["subject"]["pid"]) == ("deny", pid)]

        return wait_for(found, SECONDS, f"a denial to process {pid}")[-1]


def _done(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
