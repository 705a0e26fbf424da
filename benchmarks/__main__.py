"""`python -m benchmarks`: run them, print their tables, write them down."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine
from benchmarks.outcome import Outcome
from benchmarks.peers.process import Failed
from benchmarks.peers.programs import Missing, require_peers
from benchmarks.publish import publish, update_readme
from benchmarks.rounds import Plan
from benchmarks.suites import (
    against_entries,
    cold_start,
    event_loops,
    footprint,
    in_the_kernel,
    in_the_machine,
    many_instances,
    over_socket,
    through_mount,
    under_policy,
    when_they_lapse,
)
from benchmarks.table import markdown

HERE = Path(__file__).parent
RESULTS = HERE / "results"

Suite = Callable[[Plan], Outcome]
SUITES: dict[str, tuple[Suite, Plan, Plan]] = {
    over_socket.NAME: (over_socket.run, Plan(40, 100), Plan(5, 6, quick=True)),
    through_mount.NAME: (through_mount.run, Plan(40, 60), Plan(5, 4, quick=True)),
    against_entries.NAME: (against_entries.run, Plan(30, 100), Plan(3, 5, quick=True)),
    footprint.NAME: (footprint.run, Plan(6, 90, warm_up=False), Plan(1, 0, quick=True, warm_up=False)),
    cold_start.NAME: (cold_start.run, Plan(20, 45), Plan(3, 3, quick=True)),
    under_policy.NAME: (under_policy.run, Plan(40, 80), Plan(5, 6, quick=True)),
    in_the_kernel.NAME: (in_the_kernel.run, Plan(40, 30), Plan(5, 4, quick=True)),
    in_the_machine.NAME: (in_the_machine.run, Plan(12, 600), Plan(3, 60, quick=True)),
    many_instances.NAME: (many_instances.run, Plan(5, 300), Plan(1, 60, quick=True)),
    when_they_lapse.NAME: (when_they_lapse.run, Plan(400, 0), Plan(40, 0, quick=True)),
    event_loops.NAME: (event_loops.run, Plan(30, 60), Plan(3, 4, quick=True)),
}
"""What runs under which name, in full and in a hurry: all by default in full take under ten minutes, in a hurry one."""
BY_NAME_ONLY = {in_the_machine.NAME, many_instances.NAME}
"""What downloads kernels and boots them, for as long as all others take together; and what fills a host."""


def main() -> int:
    """Run what was asked for; 1 if something could not be measured."""
    chosen = _arguments()
    try:
        require_peers()
        _require_root()
    except Missing as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    failed = [name for name in chosen.only or _by_default() if not _run(name, chosen)]
    if chosen.output == RESULTS and not chosen.quick:
        update_readme(HERE / "README.md", RESULTS, list(SUITES))
    return 1 if failed else 0


def _by_default() -> list[str]:
    return [name for name in SUITES if name not in BY_NAME_ONLY]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a minute instead of ten; prints, writes nothing"
    )
    parser.add_argument(
        "--only", action="append", choices=list(SUITES), metavar="NAME", help=", ".join(SUITES)
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to write (default benchmarks/results)"
    )
    chosen = parser.parse_args()
    if chosen.output is None and not chosen.quick:
        chosen.output = RESULTS
    return chosen


def _require_root() -> None:
    if os.geteuid() != 0:
        raise Missing("the benchmarks mount a tmpfs and a bare file system to compare with: run them as root")


def _run(name: str, chosen: argparse.Namespace) -> bool:
    """Run one, print it and write it down; False if something in it failed, which is told."""
    suite, full, quick = SUITES[name]
    facts = machine.facts()
    start = time.monotonic()
    try:
        outcome = suite(quick if chosen.quick else full)
    except (Failed, Missing) as error:
        print(f"benchmarks: {name}: {error}", file=sys.stderr)
        return False
    print(markdown(outcome))
    print(f"({name}: {time.monotonic() - start:.0f} s)\n", flush=True)
    if chosen.output is not None:
        publish(outcome, facts, chosen.output)
    return True


if __name__ == "__main__":
    sys.exit(main())
