"""What a new program does first: it reads the table of what is held, and is what that says: a server, or the keeper."""

import json
import os
import socket
import sys
from typing import Any, NoReturn

from fdstorefs.keeper import program
from fdstorefs.keeper.adoption import Adoption
from fdstorefs.keeper.fork import end
from fdstorefs.keeper.holding import Held, Holding
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.program import HowToStart
from fdstorefs.keeper.room import raise_limit
from fdstorefs.keeper.server import Server


def main(told: dict[str, Any]) -> NoReturn:
    """Be it until the end, and end this process."""
    raise_limit()
    former = told["held"].get("former")
    line = None if former is None else (former, _behind(former))
    try:
        if told["format"] != program.FORMAT:
            raise ValueError(f"the table of what is held has format {told['format']}, not {program.FORMAT}")
        how, held = HowToStart(*told["how"]), program.read_held(told)
        if told["keeper"] is None:
            end(program.start(how, held, how.options))
    except Exception as error:
        _tell_former(line, f"{type(error).__name__}: {error}")
        raise
    sys.exit(_keeper(how, held, told["keeper"]).run())


def _tell_former(line: tuple[int, object] | None, why: str) -> None:
    """The server that still serves, if it still listens, and if nobody here has taken the line to it over.

    Who has taken it over has moved it, and the number may be anything's by now: the descriptor of a stored file, too.
    """
    if line is not None and _behind(line[0]) == line[1]:
        try:
            os.write(line[0], json.dumps({"say": "failed", "why": why}).encode())
        except OSError:
            return


def _behind(descriptor: int) -> object:
    """Which file that is, None if it is none."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _keeper(how: HowToStart, held: Held, facts: dict[str, Any]) -> Keeper:
    line = socket.socket(fileno=held.line)
    line.setblocking(False)
    adopted = Adoption(
        Server(facts["server"], facts["pidfd"], line),
        Holding(held.inherited, held.files, held.journal, held.note),
        held.restarts,
        children=facts["children"],
        is_looked_after=held.is_looked_after,
        is_told_to_end=facts["told_to_end"],
    )
    return Keeper(
        lambda held: program.start(how, held, how.options), adopted=adopted, warm=lambda: program.find(how)
    )
