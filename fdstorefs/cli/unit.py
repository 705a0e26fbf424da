"""The unit of systemd's that an instance is the service of, and what systemd has kept of it."""

import os
import time
from typing import NamedTuple

from fdstorefs.cli.failure import Failure
from fdstorefs.keeper.holding import Holding
from fdstorefs.keeper.started_again import Life, passed, take_up
from fdstorefs.keeper.unit_record import Unreadable
from fdstorefs.keeper.unit_store import MOST_NAME_BYTES, UnitStore
from fdstorefs.server.options import UnitOptions

AUTO, NO = "auto", "no"


class Started(NamedTuple):
    """The unit, None if there is none; and how the instance ended before, None if there was none."""

    unit: UnitOptions | None
    before: Life | None = None


def start(wanted: str | None, holding: Holding) -> Started:
    """Take up what systemd has passed, unless it is to keep nothing. Raises Failure, and systemd still has all of it.

    `wanted` is as in `ServeOptions.systemd_store`.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if wanted is None:
        return Started(None)
    if not address:
        if wanted in (AUTO, NO):
            return Started(None)
        raise Failure(
            "systemd is to keep what is stashed, and there is none: $NOTIFY_SOCKET is not set",
            hint="start it as a service, or without `--systemd-store`",
        )
    most = _most(wanted)
    try:
        store = UnitStore(address)
    except OSError as error:
        if not most:
            return Started(None)
        raise Failure(f"systemd is not to be reached at `{address}`: {error.strerror}") from error
    try:
        return _start(UnitOptions(address, most, MOST_NAME_BYTES), holding, store)
    finally:
        store.close()


def _start(unit: UnitOptions, holding: Holding, store: UnitStore) -> Started:
    if not unit.most:
        return Started(unit)
    came = passed(os.environ)
    try:
        before = take_up(came.ours, holding, store, time.monotonic(), came.twice)
    except Unreadable as error:
        raise Failure(str(error), hint=error.hint) from error
    return Started(UnitOptions(unit.address, unit.most - came.others, unit.room - came.others_bytes), before)


def _most(wanted: str) -> int:
    """How many descriptors systemd keeps. From 254 on it tells; before, only the unit says it."""
    told = os.environ.get("FDSTORE", "")
    known = int(told) if told.isdigit() else None
    if wanted == NO:
        return 0
    if wanted == AUTO:
        return known or 0
    return int(wanted) if known is None else min(int(wanted), known)
