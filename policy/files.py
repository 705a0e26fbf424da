"""Files: which of a directory are policies, and how long one may be, for server and command line alike."""

SUFFIXES = (".yaml", ".yml")
CASES_SUFFIXES = (".cases.yaml", ".cases.yml")
MAX_BYTES = 1024 * 1024
"""The largest policy file."""


def is_policy(name: str) -> bool:
    """Whether a file is a policy by its name. What an editor leaves behind is none, and cases are none."""
    return name.endswith(SUFFIXES) and not name.endswith(CASES_SUFFIXES) and not name.startswith((".", "#"))
