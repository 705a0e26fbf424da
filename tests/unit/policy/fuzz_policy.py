"""Throw policies at the loader that are nearly right, or nothing like it: it must always answer with diagnostics.

    python -m tests.unit.policy.fuzz_policy --cases 100000 --seed 1

Each case is made from the definitions (keys where they belong or don't, values that fit or don't, any style of
YAML), and most are then damaged byte by byte. A case fails if loading raises anything but PolicyError, if a
diagnostic points outside its text or shows control characters, or if there is neither a policy nor an error.
"""

import argparse
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from fdstorefs.policy.definitions import KEYS, KEYS_OF, Key, Place
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, as_json, render
from fdstorefs.policy.load import load, source_from_bytes
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.span import Span
from fdstorefs.policy.value_types import Type

NAMES = FixedNames({"www-data": 33, "root": 0}, {"adm": 4}, {1000: 0}, {})
MAX_GROWTH = 64 * 1024
"""KiB that the process may grow by after its first cases."""

WORDS: dict[Type, list[str]] = {
    Type.VERSION: ["1"],
    Type.NAME: ["web", "a-b", "x.1", "w_2", '"7"'],
    Type.TEXT: ["some words", '"it\'s"', '"a\\tb"', "'*'"],
    Type.BOOLEAN: ["true", "false"],
    Type.COUNT: ["0", "1", "4096", "4294967294"],
    Type.MODE: ["enforce", "monitor"],
    Type.OPENER_UNKNOWN: ["deny", "assume-stasher"],
    Type.EFFECT: ["allow", "forbid"],
    Type.ACTIONS: ["stash", "retrieve", "take", "list", "all"],
    Type.KINDS: ["socket", "empty", "box", "io_uring"],
    Type.ACCESS: ["r", "rw", "path"],
    Type.FILESYSTEMS: ["proc", "cgroup2", "fuse.sshfs", "ext5"],
    Type.LABELS: ["public", '"1"', "'a b'"],
    Type.GLOBS: ['"**"', "a/b", '"listen/*.sock"', '"[a-z]?"', '"x/**/y"'],
    Type.UIDS: ["0", "www-data", "host:1000", "host:5", "4294967294"],
    Type.UIDS_OR_SAME: ["same", "0", "root", "host:1000"],
    Type.GIDS: ["adm", "4", "host:1"],
    Type.CGROUP: ["/", "/system.slice"],
    Type.CGROUPS: ["/", "/system.slice/*", "/user.slice/**"],
    Type.CAPABILITIES: ["CAP_CHOWN", "CAP_BPF"],
    Type.CAPABILITIES_OR_NO_MORE: ["no-more-than-subject", "CAP_SYS_ADMIN"],
    Type.USERNS: ["same", "below", "same-or-below"],
    Type.SET_NAMES: ["web", "ops"],
    Type.INSTANCES: ["/run/fdstore", '"/run/*"', "{owner: 0}", "{cgroup: /a}"],
}

ODD = (
    ["no", "on", "~", "", "1e3", "0x10", "010", "1_000", "12:30", "-1", "2024-01-01", "<<", "=", ".inf"],
    ["[]", "{}", "[[]]", "{a: b}", "*x", "&x y", "!!str z", "! z", "'unclosed", '"\\x00"', '"\\ud800"'],
    ["../a", "/a/../b", "a//b", "{a,b}", "[z-a]", "***", "100-200", "host:x", "cap_chown", "sockt", "same"],
    ["\u202e", "\u00a0", "\t", "\x07", "\x85", "\ufeff", "%", "@", "? a", "- - -", "--- a", "...", "é𝒳", "`"],
    ["serve", "|\n  t\n", ">-", "x" * 70, "9" * 30],
)
TOKENS = [word.encode() for group in ODD for word in group] + [key.name.encode() for key in KEYS]
TOKENS += [b": ", b"- ", b"\n", b"\n  ", b"[", b"]", b"{", b"}", b",", b"#", b"'"]
TOKENS += [b"&a ", b"*a", b"\t", b"\r", b"\0", b"\xff"]


class Failed(Exception):
    """A case that the loader got wrong."""


@dataclass
class Tally:
    """What a run met."""

    cases: int = 0
    loaded: int = 0
    refused: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    growth: int = 0


def run(cases: int, seed: int) -> Tally:
    """Runs so many cases; raises Failed with the text of the first that fails."""
    tally = Tally()
    after_start = 0
    for data in texts(cases, seed):
        tally.cases += 1
        begun = time.perf_counter()
        _try(data, tally)
        tally.slowest = max(tally.slowest, time.perf_counter() - begun)
        if tally.cases == max(1, cases // 5):
            after_start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally.growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - after_start
    if tally.growth > MAX_GROWTH:
        raise Failed(f"the process grew by {tally.growth} KiB")
    return tally


def texts(cases: int, seed: int) -> Iterator[bytes]:
    """The texts of a run; the same for the same seed."""
    dice = random.Random(seed)
    for _ in range(cases):
        data = _Writer(dice).policy().encode("utf-8", "surrogatepass")
        yield data if dice.random() < 0.5 else _damaged(data, dice)


def _try(data: bytes, tally: Tally) -> None:
    try:
        source = source_from_bytes("fuzzed.yaml", data)
        loaded = load([source], NAMES)
    except PolicyError as error:
        found = error.diagnostics
        tally.refused += 1
    except Exception as error:
        raise Failed(f"{error!r} for {data!r}") from error
    else:
        found = loaded.diagnostics
        tally.loaded += loaded.ok
        tally.refused += not loaded.ok
        if loaded.ok and len(loaded.policies) != 1:
            raise Failed(f"neither policy nor error for {data!r}")
    for diagnostic in found:
        tally.codes[diagnostic.code] += 1
        _check(diagnostic, data)


def _check(diagnostic: Diagnostic, data: bytes) -> None:
    for span in (diagnostic.span, *(related.span for related in diagnostic.related)):
        if span is None or not is_inside(span):
            raise Failed(f"{diagnostic.code} points outside the text {data!r}")
    if not render(diagnostic).replace("\n", "").isprintable():
        raise Failed(f"{diagnostic.code} shows control characters for {data!r}")
    as_json(diagnostic)


def is_inside(span: Span) -> bool:
    """Whether a span is a place in its text."""
    lines = span.source.lines
    return (
        (span.line, span.column) <= (span.end_line, span.end_column)
        and 0 <= span.line <= span.end_line < len(lines)
        and 0 <= span.column <= len(lines[span.line])
        and 0 <= span.end_column <= len(lines[span.end_line])
    )


def takes_several(kind: Type) -> bool:
    """Whether a list can stand for such a value."""
    return kind.value.startswith("one or more")


class _Writer:
    """Writes a policy that is right in most places."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._oddness = dice.choice([0.0, 0.01, 0.05, 0.3])
        self._rules = 0

    def policy(self) -> str:
        """A whole text."""
        return self._mapping(Place.POLICY, 0, flow=False) + "\n"

    def _mapping(self, place: Place, indent: int, *, flow: bool) -> str:
        dice = self._dice
        chosen = [key for key in KEYS_OF[place].values() if key.required or dice.random() < 0.35]
        if not chosen:
            chosen = [dice.choice(list(KEYS_OF[place].values()))]
        if self._is_odd():
            chosen.append(dice.choice(KEYS))
        pairs = [f"{self._key(key)}: {self._value(key, indent + 2, flow=flow)}" for key in chosen]
        if flow:
            return "{" + ", ".join(pairs) + "}"
        return ("\n" + " " * indent).join(pairs)

    def _key(self, key: Key) -> str:
        return (
            self._dice.choice([key.name[:-1], key.name.upper(), self._odd()]) if self._is_odd() else key.name
        )

    def _value(self, key: Key, indent: int, *, flow: bool) -> str:
        if self._is_odd():
            return self._odd()
        if key.inside is not None and key.type is not Type.INSTANCES:
            return self._inside(key, key.inside, indent, flow=flow)
        if key.name == "id":
            self._rules += 1
            return f"rule-{self._rules}"
        if self._dice.random() < 0.5 or not takes_several(key.type):
            return self._dice.choice(WORDS[key.type])
        return "[" + ", ".join(self._item(key) for _ in range(self._dice.randint(1, 3))) + "]"

    def _inside(self, key: Key, place: Place, indent: int, *, flow: bool) -> str:
        new_line = "\n" + " " * indent
        flow = flow or self._dice.random() < 0.5
        if key.type is Type.RULES:
            rules = [self._mapping(place, indent + 2, flow=flow) for _ in range(self._dice.randint(0, 4))]
            return "".join(f"{new_line}- {rule}" for rule in rules) or "[]"
        if key.type is Type.SETS:
            return "".join(
                f"{new_line}{name}: {self._mapping(place, 0, flow=True)}" for name in ("web", "ops")
            )
        inside = self._mapping(place, indent, flow=flow)
        return inside if flow else new_line + inside

    def _item(self, key: Key) -> str:
        return self._odd() if self._is_odd() else self._dice.choice(WORDS[key.type])

    def _is_odd(self) -> bool:
        return self._dice.random() < self._oddness

    def _odd(self) -> str:
        return self._dice.choice(self._dice.choice(ODD))


def _damaged(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4, 16])):
        at = dice.randrange(len(changed) + 1)
        end = min(len(changed), at + dice.choice([0, 1, 1, 4, 30]))
        match dice.randrange(6):
            case 0:
                changed[at:end] = b""
            case 1:
                changed[at:at] = changed[end : end + dice.randrange(60)]
            case 2:
                changed[at:end] = bytes([dice.randrange(256)])
            case 3:
                changed[at:at] = dice.choice(TOKENS) * dice.choice([1, 1, 1, 2, 50])
            case 4:
                changed[at:end] = dice.choice(TOKENS)
            case _:
                changed[at:at] = bytes(
                    dice.choice(b" \n:-[]{}'\"#&*!|>%@,?\t") for _ in range(dice.randint(1, 6))
                )
    return bytes(changed)


def main() -> None:
    """Run as many cases as asked for, and print what they met."""
    parser = argparse.ArgumentParser(description="fuzz the policy loader")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally = run(arguments.cases, arguments.seed)
    print(f"{tally.cases} cases: {tally.loaded} loaded, {tally.refused} refused")
    print(f"slowest {tally.slowest * 1000:.1f} ms, grew by {tally.growth} KiB")
    print(", ".join(f"{code} {number}" for code, number in tally.codes.most_common()))


if __name__ == "__main__":
    main()
