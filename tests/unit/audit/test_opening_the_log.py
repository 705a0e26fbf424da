"""The log as the options ask for it, on real files, in a real loop."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs.audit.opening import AuditError, begin, open_log
from fdstorefs.audit.options import AuditOptions, Fsync
from fdstorefs.audit.target import Target
from fdstorefs.server.loop import Loop
from tests.unit.audit.decisions import decision
from tests.unit.audit.schema_check import faults


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("fsync", [Fsync(None), Fsync(0), Fsync(0.01)])
def test_a_log_from_beginning_to_end(loop: Loop, tmp_path: Path, fsync: Fsync) -> None:
    """`start` with what was asked for, the verdicts, `stop`; under one run, drawn anew each time."""
    path = tmp_path / "audit.jsonl"
    options = AuditOptions((Target("file", str(path)), Target("file", str(tmp_path / "second"))), fsync)
    runs = []
    for _ in range(2):
        log = open_log(options, "/run/fdstore", loop, (4_026_531_837,))
        begin(log, options, "daemon", "it was told so")
        log.verdict(decision())
        loop.call_at(time.monotonic() + 0.03, loop.stop)
        loop.run()
        log.close("the test is over")
        runs.append(log.run)
    records = [json.loads(line) for line in path.read_text().splitlines()]

    assert ["start", "verdict", "stop"] * 2 == [record["type"] for record in records]
    assert runs == [record["run"] for record in records[::3]]
    assert runs[0] != runs[1]
    start = records[0]
    assert (fdstorefs.__version__, os.getpid(), str(fsync)) == (
        start["version"],
        start["pid"],
        start["fsync"],
    )
    assert ("daemon", "it was told so") == (start["enforcement"], start["enforcement_reason"])
    assert [f"file:{path}", f"file:{tmp_path}/second"] == start["targets"]
    assert [[]] * 6 == [faults(record) for record in records]
    assert path.read_text() == (tmp_path / "second").read_text()


def test_no_target_no_log(loop: Loop) -> None:
    """It can be used all the same."""
    log = open_log(AuditOptions(), "/run/fdstore", loop)
    log.verdict(decision())

    assert not log.enabled


def test_a_target_that_cannot_be_opened(loop: Loop, tmp_path: Path) -> None:
    """There is no log then, the hint says what to do, and what was opened before is closed."""
    options = AuditOptions(
        (Target("file", str(tmp_path / "good")), Target("file", str(tmp_path / "no" / "log")))
    )
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(AuditError, match="No such file") as refused:
        open_log(options, "/run/fdstore", loop)

    assert "directory" in (refused.value.hint or "")
    assert open_before == len(os.listdir("/proc/self/fd"))
