"""A fork of the keeper: it begins with a line to it, and ends in here, whatever happens."""

import gc
import os
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from fdstorefs.keeper import wire
from fdstorefs.keeper.adoption import Adoption
from fdstorefs.keeper.ending import FAILED
from fdstorefs.keeper.saying import flush


class Succession(Exception):
    """In a child's process: it is the keeper now, and what is on the stack is its predecessor's."""

    def __init__(self, adoption: Adoption) -> None:
        super().__init__()
        self.adoption = adoption


def fork(live: Callable[[socket.socket], int]) -> tuple[int, socket.socket]:
    """Fork a child that does this with its end of a line, and ends with the exit code that it returns.

    Returns its pid, and our end. In the child's process nothing gets past this but Succession. Raises OSError.
    """
    ours, its = wire.line()
    flush()  # else both say it
    gc.freeze()  # so that a child's collector leaves shared pages alone
    pid = os.fork()
    if pid == 0:
        ours.close()
        end(_outcome(live, its))
    its.close()
    return pid, ours


def _outcome(live: Callable[[socket.socket], int], line: socket.socket) -> int:
    try:
        return live(line)
    except Succession:
        raise
    except BaseException as error:  # noqa: BLE001 (nothing may get past the fork)
        sys.excepthook(type(error), error, error.__traceback__)
        return FAILED


def end(code: int) -> NoReturn:
    """End this process at once: what was said is said, and nothing else is done any more."""
    try:
        flush()
    finally:
        os._exit(code)
