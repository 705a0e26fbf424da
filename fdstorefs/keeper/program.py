"""A new program with everything that a keeper holds: a server that is to take over from the one that serves, or the
keeper itself, which replaces its own code.

What is held is passed by number, open across execve(2). A table in a memfd says which number is what. It starts from
nothing but the interpreter: so what is on disk now is what runs.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from fdstorefs.keeper.holding import Held

FORMAT = 1
"""Of the table. A program that does not know it ends, and the one that wrote the table goes on."""

_PROGRAM = """
import json, os, sys
with open(int(sys.argv[1]), "rb") as table:
    told = json.load(table)
try:
    sys.path[:] = told["path"]
    from fdstorefs.keeper.succession import main
except BaseException as error:
    if told["held"].get("former") is not None:
        why = f"its program cannot be loaded: {type(error).__name__}: {error}"
        os.write(told["held"]["former"], json.dumps({"say": "failed", "why": why}).encode())
    raise
main(told)
"""


class HowToStart(NamedTuple):
    """How a server is started: `module`.`function` is called with `options` (JSON) and a `Held`, as `StartServer`."""

    module: str
    function: str
    options: dict[str, Any]


def start(how: HowToStart, held: Held, options: dict[str, Any]) -> int:
    """Call what `how` names, with these options. Returns the server's exit code."""
    code: int = find(how)(options, held)
    return code


def find(how: HowToStart) -> Any:
    """The function, whose module is loaded if it is not yet."""
    return getattr(importlib.import_module(how.module), how.function)


def become(how: HowToStart, held: Held, keeper: dict[str, Any] | None = None) -> NoReturn:
    """Execute a new program in this process: a server, or with these facts a keeper. Raises OSError.

    Everything in `held`, and the descriptors that the facts name, is passed on; what else is open is closed.
    """
    table = os.memfd_create("fdstorefs-table", os.MFD_CLOEXEC)
    passed = [table, *descriptors_of(held), *descriptors_in(keeper)]
    try:
        _write(
            table, {"format": FORMAT, "path": sys.path, "how": how, "held": held._asdict(), "keeper": keeper}
        )
        for descriptor in passed:
            os.set_inheritable(descriptor, True)
        os.execv(sys.executable, [sys.executable, "-I", "-c", _PROGRAM, str(table)])
    finally:
        for descriptor in passed:
            os.set_inheritable(descriptor, False)
        os.close(table)


def descriptors_of(held: Held) -> Iterable[int]:
    """All descriptors that are held."""
    single = (held.line, held.journal, held.former)
    yield from (each for each in single if each is not None and each >= 0)
    yield from (*held.files.values(), *held.inherited, *held.closing)


def descriptors_in(keeper: dict[str, Any] | None) -> Iterable[int]:
    """Those of a keeper's own."""
    if keeper is not None:
        yield keeper["pidfd"]
        yield from (pidfd for _, pidfd in keeper["children"])


def read_held(told: dict[str, Any]) -> Held:
    """What was held when the table was written, closed on exec again."""
    fields = told["held"]
    fields["files"] = {int(number): descriptor for number, descriptor in fields["files"].items()}
    held = Held(**{**fields, "inherited": tuple(fields["inherited"]), "closing": tuple(fields["closing"])})
    for descriptor in (*descriptors_of(held), *descriptors_in(told["keeper"])):
        os.set_inheritable(descriptor, False)
    return held


def _write(table: int, told: dict[str, Any]) -> None:
    with open(table, "wb", closefd=False) as file:
        file.write(json.dumps(told).encode())
    os.lseek(table, 0, os.SEEK_SET)
