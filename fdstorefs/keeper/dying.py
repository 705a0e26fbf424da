"""Whether a process is stuck in its end."""

_HAS_MEMORY = b"\nVmSize:"


def is_dying(pid: int) -> bool:
    """Whether it will do nothing any more, but is not dead: the close of one of its files may take for ever.

    It has let go of its memory by then. (The flags in /proc/PID/stat say so, too, but to read that is to look into it,
    and where the kernel guards it, each time is on record.)
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            return _HAS_MEMORY not in status.read()
    except OSError:
        return False
