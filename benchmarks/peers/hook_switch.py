"""Takes programs out of their hooks and puts others there, without compiling and loading them again."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from fdstorefs.bpf import syscall
from fdstorefs.bpf.loader import LSM, Compiled, compile_file
from fdstorefs.bpf.pins import LINK, drop, hooks
from fdstorefs.bpf.programs import PREFIX

_HEAD = "#include <uapi/linux/bpf.h>\n"
_NOTHING = "int {name}(unsigned long long *arguments) {{ return 0; }}\n"


def taken_from_pins(pins: Path) -> dict[str, int]:
    """The programs that are pinned below, by hook. They are in no hook any more, and have no pins."""
    (version,) = pins.glob("v*/programs-*")
    found = {}
    for hook in hooks(version):
        link = syscall.obj_get(str(version / f"{LINK}{hook}"))
        found[hook] = syscall.program_by_number(syscall.link_program(link))
        os.close(link)
    drop(version)
    return found


class EmptyPrograms:
    """For some hooks, programs that do nothing; `close` gives them back."""

    def __init__(self, hooks: Iterable[str]) -> None:
        names = [PREFIX + hook for hook in hooks]
        with NamedTemporaryFile("w", suffix=".c") as source:
            source.write(_HEAD + "".join(_NOTHING.format(name=name) for name in names))
            source.flush()
            self._compiled: Compiled = compile_file(Path(source.name))
        self.programs = [self._compiled.load(name, LSM) for name in names]

    def close(self) -> None:
        """They leave the kernel when they are in no hook."""
        self._compiled.close()


class Switch:
    """Sets of programs by name, of which one is in the hooks at a time: at first none is."""

    def __init__(self, sets: Mapping[str, Sequence[int]]) -> None:
        self._sets = sets
        self._links: list[int] = []
        self._in_force: str | None = None

    def turn(self, name: str) -> None:
        """Have this set in the hooks and no other. Takes effect before it returns."""
        if name == self._in_force:
            return
        while self._links:
            os.close(self._links.pop())
        self._links = [syscall.attach(program) for program in self._sets[name]]
        self._in_force = name
