"""What the keeper has to say goes to stderr, and who does not listen is no reason to stop keeping."""

import sys


def say(what: str) -> None:
    """One line."""
    if sys.stderr is not None:
        sys.stderr.write(f"fdstorefs: keeper: {what}\n")
    flush()


def flush() -> None:
    """Have what was said be said. Before a fork: else the child says it, too."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            continue  # nobody listens
