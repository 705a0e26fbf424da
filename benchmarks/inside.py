"""What the suite `machine` runs in its virtual machine: `python -m benchmarks.inside CLIENT ROUNDS`.

Prints one line of JSON: by operation and contestant what one operation cost in each round, in microseconds. The
programs are compiled and loaded once, then put into their hooks and taken out in each round.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.client import Client
from benchmarks.peers.enforced import PINS, Enforced
from benchmarks.peers.hook_switch import EmptyPrograms, Switch, taken_from_pins
from benchmarks.peers.process import Failed
from fdstorefs.bpf.abi import Hook

OFF, EMPTY, ON = "off", "empty", "on"
BATCHES = 25
"""Of each operation in a block. The quickest counts: whatever else the host does only ever adds to it."""
BATCH_SECONDS = 0.01
IN_USE = {
    "open": "open and close",
    "pass": "pass an untagged descriptor",
    "pass-special": "pass a tagged descriptor, allowed",
    "connect": "connect elsewhere",
    "connect-special": "connect to the instance, allowed",
}
IDLE = {name: IN_USE[name] for name in ("open", "pass", "connect")}

Series = dict[str, dict[str, list[float]]]


class Phase:
    """Rounds with the same things in the tables: in each a block with every set of programs."""

    def __init__(self, client: Client, switch: Switch, operations: Sequence[str]) -> None:
        self._client = client
        self._switch = switch
        self._operations = operations
        self._counts = {name: self._count(name) for name in operations}

    def _count(self, name: str) -> int:
        """How many make a batch."""
        self._client.seconds(name, 100)
        return max(100, round(BATCH_SECONDS * 100 / self._client.seconds(name, 100)))

    def rounds(self, number: int) -> Series:
        """So many, after one to warm up. The order turns round each time, so what drifts falls on all alike."""
        order = [OFF, EMPTY, ON]
        series: Series = {name: {state: [] for state in order} for name in self._operations}
        for at in range(number + 1):
            for state in order:
                self._switch.turn(state)
                block = self._block()
                for name, value in block.items() if at else ():
                    series[name][state].append(value)
            order.reverse()
        return series

    def _block(self) -> dict[str, float]:
        found: dict[str, list[float]] = {name: [] for name in self._operations}
        for _ in range(BATCHES):
            for name in random.sample(self._operations, len(self._operations)):
                found[name].append(self._client.microseconds(name, self._counts[name]))
        return {name: min(values) for name, values in found.items()}


def measured(program: Path, rounds: int) -> Series:
    """By operation, first with an instance and then without."""
    with Enforced() as host:
        ours = taken_from_pins(PINS)
        empty = EmptyPrograms(ours)
        switch = Switch({OFF: [], EMPTY: empty.programs, ON: list(ours.values())})
        with _client(program, host, "first", host.tagged) as client:
            _see_what_is_decided(host, switch, client)
            found = _named(Phase(client, switch, list(IN_USE)).rounds(rounds), IN_USE, "")
        switch.turn(ON)
        host.quit()
        with _client(program, host, "second", 0) as client:
            idle = Phase(client, switch, list(IDLE)).rounds(rounds)
        switch.turn(OFF)
        empty.close()
        return {**_named(idle, IDLE, ", idle"), **found}


def _client(program: Path, host: Enforced, name: str, descriptor: int) -> Client:
    file = host.scratch / "file"
    file.touch()
    sockets = [host.scratch / name, host.mount / name]
    command: list[str | Path] = [program, file, str(descriptor), *sockets]
    return Client(command, host.scratch / "said", inherits=[descriptor])


def _see_what_is_decided(host: Enforced, switch: Switch, client: Client) -> None:
    """Ours decide on what they should decide on, and on nothing else, and on nothing when they are in no hook."""
    wanted = {OFF: set[Hook](), EMPTY: set[Hook](), ON: {Hook.RECEIVE, Hook.CONNECTED}}
    host.kernel.set_record_allowed(True)
    for state, hooks in wanted.items():
        switch.turn(state)
        host.kernel.ring.read()
        for name in IN_USE:
            client.seconds(name, 3)
        seen = [Hook(event.hook) for event in host.kernel.ring.read()]
        if set(seen) != hooks or len(seen) != 3 * len(hooks):
            raise Failed(f"with the programs `{state}` these hooks decided: {seen}")
    host.kernel.set_record_allowed(False)


def _named(found: Series, names: dict[str, str], when: str) -> Series:
    return {f"{names[name]}{when}": values for name, values in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inside", description=__doc__)
    parser.add_argument("client", type=Path, help="hooks_client, compiled")
    parser.add_argument("rounds", type=int)
    chosen = parser.parse_args()
    print(json.dumps(measured(chosen.client, chosen.rounds)), flush=True)


if __name__ == "__main__":
    main()
