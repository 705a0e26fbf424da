"""The service rehearses an instance before it starts any, and learns what code they execute."""

import json
import sys

import pytest

from tests.mount.cast import ORDINARY_USER, Cast

_PROGRAM = """
import importlib, json, os, sys, tempfile
from fdstorefs.containers import host
from fdstorefs.containers.record import Records
from fdstorefs.containers.rehearsal import rehearse
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.server import instance
from fdstorefs.server.mounting import FSTYPE

records = Records(f"{sys.argv[1]}/records")
records.prepare()
executed = rehearse(records, "/nowhere")
functions = Keeper.run, instance.serve, json.dump
print(json.dumps({
    "executed": [id(function.__code__) in executed for function in functions],
    "records": os.listdir(records.directory),
    "mounts": [line for line in open("/proc/self/mountinfo") if FSTYPE in line and "/run/fdstore " in line],
}))
"""

_NO_NAMESPACES = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'


@pytest.mark.parametrize("user", [None, ORDINARY_USER])
def test_what_is_executed_is_known(cast: Cast, user: str | None) -> None:
    """In keeper and server, and no more than that; nothing is left of it."""
    out, said = cast.start(cast.command([sys.executable, "-c", _PROGRAM, cast.home(user)], user)).communicate(
        timeout=60
    )

    assert said == ""
    assert json.loads(out) == {"executed": [True, True, False], "records": [], "mounts": []}


def test_where_there_are_no_user_namespaces_nothing_is_known(cast: Cast) -> None:
    """The service does without."""
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _NO_NAMESPACES, "sh"]
    program = [*own, sys.executable, "-c", _PROGRAM, cast.home(ORDINARY_USER)]
    out, _ = cast.start(cast.command(program, ORDINARY_USER)).communicate(timeout=60)

    assert json.loads(out)["executed"] == [False, False, False]
