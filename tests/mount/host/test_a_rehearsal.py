"""The service has an instance rehearsed before it loads anything, and learns what keeper and server execute."""

import json
import sys
from typing import Any

import pytest

from tests.mount.cast import ORDINARY_USER, Cast

_PROGRAM = """
import gc, json, os, sys, tempfile, types
from fdstorefs.containers import scouting

if sys.argv[2] == "scout":
    executed = scouting.scout()
    loaded = [name for name in sys.modules if name.startswith("fdstorefs.server")]
else:
    from fdstorefs.containers.rehearsal import rehearse
    report = scouting.Report.begin()
    rehearse(report)
    executed, loaded = report.executed(), None

from fdstorefs.keeper.keeper import Keeper
from fdstorefs.server import instance
from fdstorefs.server.mounting import FSTYPE

codes = {each.__code__ for each in gc.get_objects() if type(each) is types.FunctionType}
names = {name for code in codes if hash(code) in executed for name in code.co_names}
functions = Keeper.run, instance.serve, json.dump
print(json.dumps({
    "executed": [hash(function.__code__) in executed for function in functions],
    "loaded": loaded,
    "pages": len({id(name) // 4096 for name in names}),
    "scratch": [name for name in os.listdir(tempfile.gettempdir()) if name.startswith("fdstorefs-")],
    "mounts": [line for line in open("/proc/self/mountinfo") if FSTYPE in line and "/run/fdstore " in line],
}))
"""

_NO_NAMESPACES = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'


def _said_by(cast: Cast, user: str | None, how: str = "scout", *before: str) -> dict[str, Any]:
    """What the program finds, with a directory of its own for what is temporary."""
    home = cast.home(user)
    program = [*before, "env", f"TMPDIR={home}", sys.executable, "-c", _PROGRAM, home, how]
    out, said = cast.start(cast.command(program, user)).communicate(timeout=60)
    assert said == ""
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize("user", [None, ORDINARY_USER])
def test_what_is_executed_is_known(cast: Cast, user: str | None) -> None:
    """In keeper and server, and no more than that; it was loaded elsewhere, and nothing is left of it."""
    found = _said_by(cast, user)

    assert [True, True, False] == found["executed"]
    assert [[], [], []] == [found["loaded"], found["scratch"], found["mounts"]]


def test_names_in_it_lie_together(cast: Cast) -> None:
    """All but those that were there before, which are in half of the pages that it would be."""
    together, otherwise = (_said_by(cast, None, how)["pages"] for how in ("scout", "otherwise"))

    assert together * 3 < otherwise * 2


def test_where_there_are_no_user_namespaces_nothing_is_known(cast: Cast) -> None:
    """The service does without."""
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _NO_NAMESPACES, "sh"]

    assert [False, False, False] == _said_by(cast, ORDINARY_USER, "scout", *own)["executed"]
