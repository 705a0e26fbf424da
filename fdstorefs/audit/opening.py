"""The audit log as the options ask for it: the place where log, outlets and sinks are put together."""

import errno
import os

from fdstorefs import __version__
from fdstorefs.audit.format import EventValue, Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.memory import RECORD, SETTLED, Memory
from fdstorefs.audit.options import AuditOptions, Fsync
from fdstorefs.audit.outlet import Feed
from fdstorefs.audit.record import Event
from fdstorefs.audit.runner import Runner
from fdstorefs.audit.sinks.file import FileSink
from fdstorefs.audit.sinks.journald import JournalSink
from fdstorefs.audit.sinks.sink import Sink
from fdstorefs.audit.sinks.stderr import StderrSink
from fdstorefs.audit.sinks.syslog import SyslogSink
from fdstorefs.audit.target import Target
from fdstorefs.errors import StoreError

_HINTS = {
    errno.ENOENT: "make the directory, or name another target with `--audit`",
    errno.EACCES: "let the server's user write there, or name another target with `--audit`",
    errno.ELOOP: "the path ends in a symbolic link: name the file itself",
    errno.EINVAL: "name a regular file",
    errno.ENXIO: "name a regular file",
}


class AuditError(StoreError):
    """The audit log that was asked for cannot be kept."""


def open_log(
    options: AuditOptions,
    instance: str,
    runner: Runner,
    userns: tuple[int, ...] | None = None,
    memory: Memory | None = None,
) -> AuditLog:
    """The log of the instance mounted at `instance`, open; `begin` it. `userns` is the instance's user namespace.

    `memory` is what it remembers, beyond its process if need be; where it goes on, `note_restart` is to be the first
    that is put on record. Raises AuditError if one of the targets cannot be written to: a server that is to keep a
    log does not serve without it.
    """
    memory = memory or Memory.new()
    return AuditLog(
        Formatter(instance, memory.run, userns, memory.key),
        open_feeds(options),
        runner,
        numbers=memory.numbers,
    )


def begin(
    log: AuditLog, options: AuditOptions, enforcement: str | None = None, why: str | None = None
) -> None:
    """Put the start on record: who enforces (one of ENFORCEMENT) and why; None if that was not settled."""
    log.event(
        Event.START,
        version=__version__,
        pid=os.getpid(),
        uid=os.geteuid(),
        enforcement=enforcement,
        enforcement_reason=why,
        **_places(options),
    )


def note_restart(
    log: AuditLog,
    options: AuditOptions,
    memory: Memory,
    *,
    away: int,
    entries: int,
    descriptors: int,
    enforcement: str,
    why: str,
    cause: str | None = None,
) -> None:
    """Put on record that this server goes on where another one was killed; `away` is in ns. The rest as of `begin`."""
    log.event(
        Event.RESTART,
        version=__version__,
        pid=os.getpid(),
        uid=os.geteuid(),
        away=away,
        entries=entries,
        descriptors=descriptors,
        **_unsettled(memory),
        cause=cause,
        enforcement=enforcement,
        enforcement_reason=why,
        **_places(options),
    )


def note_upgrade(
    log: AuditLog,
    options: AuditOptions,
    memory: Memory,
    *,
    former: str,
    away: int,
    entries: int,
    descriptors: int,
) -> None:
    """Put on record that this server goes on for one of version `former`, which has ended; `away` is in ns."""
    log.event(
        Event.UPGRADE,
        version=__version__,
        former=former,
        pid=os.getpid(),
        uid=os.geteuid(),
        away=away,
        entries=entries,
        descriptors=descriptors,
        **_unsettled(memory),
        **_places(options),
    )


def _places(options: AuditOptions) -> dict[str, EventValue]:
    return {"targets": tuple(map(str, options.targets)), "fsync": str(options.fsync)}


def _unsettled(memory: Memory) -> dict[str, EventValue]:
    """Numbers of the records that the former server may not have written."""
    first, last = memory.numbers[SETTLED] + 1, memory.numbers[RECORD]
    return {"first_seq": first, "last_seq": last} if first <= last else {}


def open_feeds(options: AuditOptions) -> list[Feed]:
    """All its targets, open. Raises AuditError."""
    feeds: list[Feed] = []
    try:
        for target in options.targets:
            feeds.append(_open_feed(target, options.fsync))  # noqa: PERF401  those before an error are closed
    except AuditError:
        for feed in feeds:
            feed.sink.close()
        raise
    return feeds


def _open_feed(target: Target, fsync: Fsync) -> Feed:
    sink = _sink_of(target, fsync)
    try:
        sink.open()
    except OSError as error:
        raise AuditError(
            f"cannot keep an audit log at `{target}`: {error.strerror}", hint=_hint(target, error.errno)
        ) from error
    # With a sync in every write there is nothing left to do later.
    return Feed(str(target), sink, fsync.seconds or None if target.kind == "file" else None)


def _sink_of(target: Target, fsync: Fsync) -> Sink:
    if target.kind == "file":
        return FileSink(target.path, durable=fsync.seconds is not None, sync_each=fsync.seconds == 0)
    if target.kind == "journald":
        return JournalSink()
    return SyslogSink() if target.kind == "syslog" else StderrSink()


def _hint(target: Target, code: int | None) -> str:
    if target.kind != "file":
        return "name another target with `--audit`"
    return _HINTS.get(code or 0, "name another file with `--audit`")
