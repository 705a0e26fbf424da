"""Builds the C clients."""

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent
_LIBRARIES = {"s6_client": ["-ls6", "-lskarnet"]}
_NAMES = ("floor", "fdstorefs_client", "mount_client", "s6_client")


class Missing(Exception):
    """Something that the benchmarks compare with is not installed."""


def require_peers() -> None:
    """Raise Missing unless gcc and s6 are there."""
    for program in ("gcc", "s6-fdholder-daemon"):
        if shutil.which(program) is None:
            raise Missing(f"`{program}` is not installed: run `make setup-bench`")


def build(goal: Path) -> dict[str, Path]:
    """Compile every client into a directory; returns where each is. Raises Missing with gcc's own words."""
    return {name: compile_one(name, goal) for name in _NAMES}


def compile_one(name: str, goal: Path) -> Path:
    """Compile one of the programs here into a directory; returns where it is. Raises Missing with gcc's own words."""
    program = goal / name
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCES / f"{name}.c"]
    done = subprocess.run(
        [*map(str, command), *_LIBRARIES.get(name, [])], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Missing(
            f"cannot compile `{name}.c`; after `make setup-bench` it should. gcc says:\n{done.stderr}"
        )
    return program
