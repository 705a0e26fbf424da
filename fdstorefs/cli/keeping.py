"""Serving an instance under a keeper: this process becomes it, and the server is its child."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fdstorefs.cli import serving, unit
from fdstorefs.cli.failure import Failure, report
from fdstorefs.host.syscalls import set_dumpable
from fdstorefs.keeper.holding import Held, Holding
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.program import HowToStart
from fdstorefs.server import instance  # so that each server to come finds it loaded
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.kept import take_up
from fdstorefs.server.options import ServeOptions, from_json, to_json
from fdstorefs.server.readiness_notice import announce
from fdstorefs.server.unit_keeping import UnitKeeping

Failed = Callable[[Failure], int]
"""Tells people why a server cannot serve, and returns its exit code."""


def keep(options: ServeOptions, failed: Failed = report) -> int:
    """Keep until the instance ends for good, and return the exit code."""
    serving.shut(options)
    holding = Holding(() if options.ends_with is None else (options.ends_with,))
    try:
        started = unit.start(options.systemd_store, holding)
    except Failure as failure:
        return failed(failure)
    serves = replace(options, unit=started.unit)
    return Keeper(
        lambda held: _serve(serves, held, failed),
        lambda: announce(options.ready_fd),
        # Its role keeps others out from now on, and has it on record that they tried.
        lambda: set_dumpable(True),
        holding=holding,
        before=started.before,
    ).run()


def serve_again(told: dict[str, Any], held: Held) -> int:
    """In the child of a keeper that has replaced another. `told` are the options."""
    options = from_json(told)
    return _serve(replace(options, ends_with=held.inherited[0] if held.inherited else None), held, report)


def _run(options: ServeOptions, held: Held, line: KeeperLine) -> None:
    if held.former is None:
        instance.serve(options, kept=take_up(held, line))
    else:
        # Loaded by a new program only, which is to take over.
        from fdstorefs.server.upgrading.succeeding import succeed

        succeed(options, held, line)


def _serve(options: ServeOptions, held: Held, failed: Failed) -> int:
    serving.shut(options)
    # The keeper says when it serves, for it is the process that everybody knows.
    os.environ.pop("NOTIFY_SOCKET", None)
    if options.ready_fd is not None and not held.restarts:
        os.close(options.ready_fd)
    with_systemd = UnitKeeping(options.unit, held) if options.unit is not None else None
    line = KeeperLine(held, HowToStart(__name__, serve_again.__name__, to_json(options)), with_systemd)
    code = 0
    try:
        serving.run_server(lambda: _run(options, held, line))
    except Failure as failure:
        code = failed(failure)
    line.end(code)
    return code
