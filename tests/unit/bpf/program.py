"""The decision as the kernel runs it: testrun.c, loaded, given rows, and asked."""

import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import fdstorefs.bpf
from fdstorefs.bpf import syscall
from fdstorefs.bpf.abi import MOST_WORDS, Key, Reason, Row, pack_row
from fdstorefs.bpf.loader import SCHED_CLS, compile_file
from fdstorefs.bpf.programs import defines
from fdstorefs.bpf.rows import Profile
from fdstorefs.bpf.syscall import NO_PREALLOC, MapSpec, MapType
from tests.unit.bpf.answer import Answer

SOURCE = Path(fdstorefs.bpf.__file__).parent / "testrun.c"
HEADER = bytes(14)
VERDICT = struct.Struct("=6I")
ANSWER = VERDICT.size + MOST_WORDS * 8
MOST_ROWS = 8192
NO_QUESTION = 2


class Program:
    """The programs of one profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._compiled = compile_file(SOURCE, defines(profile))
        self._deliver = self._compiled.load("decide_packet", SCHED_CLS)
        self._connect = self._compiled.load("connect_packet", SCHED_CLS)
        self._generations = self._compiled.table("generations")
        self._rows = -1

    def publish(self, rows: Iterable[tuple[Key, Row]]) -> None:
        """Put other rows in force."""
        spec = MapSpec(MapType.HASH, "rows", Key.LAYOUT.size, 16 * self.profile.words, MOST_ROWS, NO_PREALLOC)
        before, self._rows = self._rows, syscall.map_create(spec)
        self.add(rows)
        syscall.update(self._generations, bytes(4), self._rows.to_bytes(4, "little"))
        if before >= 0:
            os.close(before)

    def add(self, rows: Iterable[tuple[Key, Row]]) -> None:
        """Put rows to those in force."""
        for key, row in rows:
            syscall.update(self._rows, key.pack(), pack_row(row, self.profile.words))

    def remove(self, key: Key) -> None:
        """Take one of the rows in force away, which must be there."""
        assert syscall.delete(self._rows, key.pack())

    def withdraw(self) -> None:
        """Have no rows in force at all."""
        syscall.delete(self._generations, bytes(4))

    def deliver(self, question: bytes, numbers: tuple[int, ...]) -> Answer:
        """Whether a delivery is allowed; `numbers` are those of its classes."""
        return self._ask(self._deliver, question, numbers)

    def connect(self, question: bytes) -> Answer:
        """Whether the subject of a question may connect to its instance."""
        return self._ask(self._connect, question, ())

    def repeat(self, question: bytes, times: int) -> int:
        """Nanoseconds that a decision on this question takes, on average over so many in a row."""
        syscall.test_run(self._deliver, HEADER + question)
        return syscall.test_run(self._deliver, HEADER + bytes(50), repeat=times).duration_ns

    def _ask(self, program: int, question: bytes, numbers: tuple[int, ...]) -> Answer:
        packet = HEADER + question
        run = syscall.test_run(program, packet, out_size=len(packet))
        assert run.retval != NO_QUESTION, "the program did not get its question"
        found = run.data[len(HEADER) :]
        allowed, decided, reason, _, number, _ = VERDICT.unpack_from(found)
        assert allowed == run.retval
        terms = int.from_bytes(found[VERDICT.size : ANSWER], "little")
        place = numbers.index(number) if number else None
        return Answer(bool(allowed), bool(decided), Reason(reason), place, terms)

    def close(self) -> None:
        """Give back all that it has in the kernel."""
        if self._rows >= 0:
            os.close(self._rows)
        self._compiled.close()


@lru_cache(maxsize=16)
def program(profile: Profile) -> Program:
    """The programs of a profile, compiled once. Raises KernelError where the kernel does not take them."""
    return Program(profile)
