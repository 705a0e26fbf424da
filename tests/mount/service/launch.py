"""Start a program as systemd does: with descriptors from 3 on. Usage: launch.py DESCRIPTOR,... PROGRAM ARGUMENT..."""

import os
import sys

FIRST = 3


def main(listed: str, *argv: str) -> None:
    """Become the program."""
    numbers = [int(number) for number in listed.split(",") if number]
    free = FIRST + len(numbers)
    away = [_above(number, free) for number in numbers]
    for place, copy in enumerate(away):
        os.dup2(copy, FIRST + place)
    os.closerange(free, 1 << 16)
    if numbers:
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execvp(argv[0], argv)


def _above(number: int, free: int) -> int:
    """A copy that is out of the way."""
    copy = number
    while copy < free:
        copy = os.dup(copy)
    return copy


if __name__ == "__main__":
    main(*sys.argv[1:])
