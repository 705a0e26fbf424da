"""Records to read."""

import json
from typing import Any

from fdstorefs.audit.reader import Record, parse

RUN, OTHER_RUN = "0" * 15 + "1", "0" * 15 + "2"
SECOND = 1_000_000_000

SUBJECT = {
    "pid": 77,
    "uid": 33,
    "gid": 33,
    "details": "read",
    "tid": 77,
    "comm": "nginx",
    "exe": "/usr/sbin/nginx",
    "groups": [4, 33],
    "capabilities": "0000000000000400",
    "userns": [100, 1],
    "cgroup": "/system.slice/nginx.service",
}
ENTRY = {
    "name": "listen/web",
    "kind": "socket",
    "access": "rw",
    "filesystem": "sockfs",
    "guarded": True,
    "stasher": {"pid": 7, "uid": 0, "gid": 0, "command": "init", "userns": [100, 1]},
}


def envelope(seq: int, **changes: Any) -> Record:
    """What all records have; number `seq` is of second `seq` after 2026-11-21 06:10:00 UTC."""
    return {
        "v": 1,
        "ts": f"2026-11-21T06:{10 + seq // 60:02d}:{seq % 60:02d}.123456789Z",
        "boottime": seq * SECOND,
        "seq": seq,
        "lost_before": 0,
        "instance": "/run/fdstore",
        "run": RUN,
        **changes,
    }


def event(seq: int, kind: str, **changes: Any) -> Record:
    """An event."""
    return envelope(seq, type=kind, **changes)


def start(seq: int = 1, **changes: Any) -> Record:
    """The event that begins a run."""
    said = {"version": "0.1.0", "pid": 5, "uid": 0, "targets": ["stderr"], "fsync": "never"}
    return event(seq, "start", **{**said, **changes})


def verdict(
    seq: int, *, subject: dict[str, Any] | None = None, entry: dict[str, Any] | None = None, **changes: Any
) -> Record:
    """A denial, by default."""
    said = {
        "type": "verdict",
        "id": f"{RUN}-{seq:016x}",
        "action": "retrieve",
        "verdict": "deny",
        "decided": "deny",
        "reason": "forbidden",
        "rules": ["nobody-borrows-power"],
        "source": "daemon",
        "via": "socket",
        "subject": {**SUBJECT, **(subject or {})},
        "entry": {**ENTRY, **(entry or {})},
    }
    return envelope(seq, **{**said, **changes})


def allowed(seq: int, **changes: Any) -> Record:
    """A verdict that allows."""
    return verdict(
        seq, **{"verdict": "allow", "decided": "allow", "reason": "rule", "rules": ["web"], **changes}
    )


def line(record: Record) -> bytes:
    """A record as a line, which it must be."""
    written = json.dumps(record).encode() + b"\n"
    assert record == parse(written)
    return written
