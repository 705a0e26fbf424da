"""Questions that may never be answered, each put by a process of its own, and given up after some seconds.

Whoever asks a file system whose server is stuck is stuck with it: a thread would keep this process from ending.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from fdstorefs.host.syscalls import set_dumpable

Question = Callable[[], Any]
"""Returns what JSON has."""

AT_ONCE = 16
_LONGEST_ANSWER = 1 << 20


@dataclass(slots=True)
class _Asker:
    index: int
    pid: int
    until: float
    said: bytearray = field(default_factory=bytearray)


def ask_all(questions: Sequence[Question], seconds: float) -> Iterator[tuple[int, Any]]:
    """The index and answer of each question as it comes; None if it fails, or takes longer than so many seconds.

    A question must import nothing, and may become another user and enter namespaces. What it opens is closed.
    """
    waiting = list(enumerate(questions))
    waiting.reverse()
    asking: dict[int, _Asker] = {}
    poll = select.poll()
    try:
        while waiting or asking:
            while waiting and len(asking) < AT_ONCE:
                index, question = waiting.pop()
                pipe, asker = _start(index, question, seconds)
                asking[pipe] = asker
                poll.register(pipe, select.POLLIN)
            for pipe in _finished(poll, asking):
                poll.unregister(pipe)
                asker = asking.pop(pipe)
                yield asker.index, _end(pipe, asker)
    finally:
        for pipe, asker in asking.items():
            _end(pipe, asker)


def _start(index: int, question: Question, seconds: float) -> tuple[int, _Asker]:
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _ask(question, its)
    os.close(its)
    return ours, _Asker(index, pid, time.monotonic() + seconds)


def _ask(question: Question, pipe: int) -> NoReturn:
    try:
        # Whoever it becomes must not look into what it was.
        set_dumpable(False)
        # More than a pipe holds is written while it is read.
        rest = json.dumps(question()).encode()
        while rest:
            rest = rest[os.write(pipe, rest) :]
    except BaseException as error:  # noqa: BLE001 (nothing may get past the fork)
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(0)


def _finished(poll: "select.poll", asking: dict[int, _Asker]) -> list[int]:
    """Wait until one has said all, or something, or its time is up; the pipes of those that are done."""
    until = min(asker.until for asker in asking.values())
    done = []
    for pipe, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000):
        part = os.read(pipe, 65536)
        asking[pipe].said += part
        if not part or len(asking[pipe].said) > _LONGEST_ANSWER:
            done.append(pipe)
    now = time.monotonic()
    return done + [pipe for pipe, asker in asking.items() if asker.until <= now and pipe not in done]


def _end(pipe: int, asker: _Asker) -> Any:
    os.close(pipe)
    os.kill(asker.pid, signal.SIGKILL)
    # One that is stuck in the kernel is left to whoever takes over our children.
    os.waitpid(asker.pid, os.WNOHANG)
    try:
        return json.loads(asker.said)
    except ValueError:
        return None
