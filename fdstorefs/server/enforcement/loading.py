"""Loading: from policy files to policies that could be put in force here, or to everything that is wrong with them.

Looks users and groups up, which may take long: not for the thread of the loop, once an instance serves.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fdstorefs.host.task import Task
from fdstorefs.policy.default import default_policy
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity
from fdstorefs.policy.model import Policy
from fdstorefs.server.enforcement.applies import Whereabouts, applying
from fdstorefs.server.enforcement.settled import read_settled


@dataclass(frozen=True, slots=True)
class Candidates:
    """Policies that could be in force here together.

    `applies` is False if policies were given and none is for this instance: then they are the built-in default, as
    they are without any. `files` are all that were read, `warnings` what is odd about them.
    """

    policies: tuple[Policy, ...]
    files: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    applies: bool = True


def load_policies(
    paths: Sequence[str], mount: str, has_moved: Callable[[], bool] = lambda: False
) -> Candidates:
    """The policies at these absolute paths, for an instance of this process; the default if there are no paths.

    All of them as they were at one moment; `has_moved` as `read_settled` takes it. Raises PolicyError with everything
    that is wrong with any of them, also of one for other instances, or Unsettled.
    """
    if not paths:
        return Candidates((default_policy(),))
    policies, files, warnings = checked(paths, has_moved)
    ours = applying(policies, Whereabouts(mount, os.geteuid(), _own_cgroup()))
    return Candidates(ours or (default_policy(),), files, warnings, applies=bool(ours))


def checked(
    paths: Sequence[str], has_moved: Callable[[], bool] = lambda: False
) -> tuple[tuple[Policy, ...], tuple[str, ...], tuple[Diagnostic, ...]]:
    """The policies at these paths, their files, and warnings. Raises PolicyError."""
    # A server that is given no policy needs none of this, and starts a tenth of a second earlier.
    from fdstorefs.host.user_database import HostNames
    from fdstorefs.policy.check import check
    from fdstorefs.policy.load import load
    from fdstorefs.server.enforcement.policy_files import sources_of

    files = read_settled(paths, has_moved)
    loaded = load(sources_of(files), HostNames())
    found = loaded.diagnostics + (tuple(check(loaded.policies)) if loaded.ok else ())
    if any(diagnostic.severity is Severity.ERROR for diagnostic in found):
        raise PolicyError(found)
    return loaded.policies, tuple(file.name for file in files), found


def _own_cgroup() -> str | None:
    try:
        place = Task(os.getpid()).cgroup()
    except OSError:
        return None
    return None if place is None else place.path
