"""What a policy and an audit log cost: a server without, a server with, and the decision by itself."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.outcome import Outcome, Target
from benchmarks.peers import policies
from benchmarks.peers.client import Client
from benchmarks.peers.contestants import S6
from benchmarks.peers.workshop import Workshop
from benchmarks.rounds import Contest, Plan, Run, play
from fdstorefs.core.access import Action
from fdstorefs.core.node import OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.host import procfs
from fdstorefs.host.user_database import HostNames
from fdstorefs.policy.load import load, source_from_bytes
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.enforcement.in_force import InForce, put_together
from fdstorefs.server.subjects import Subjects

NAME = "policy"
ENTRIES = 1000
SINGLE, MANY, DECISIONS = 192, 640, 2000
WITHOUT = "no policy, no log"
WITH_POLICY = "100 rules"
WITH_LOG = "log"
WITH_BOTH = "100 rules and log"
SIZES = (1, 10, 100, 1000)
ONE_RULE = "1 rule"

NOTE = (
    "`retrieve` is microseconds per descriptor by a C client, the close of what came included; each server "
    "holds 1000 entries and logs to a file. Without a policy the built-in default decides. `decision` is what "
    "the server spends on one: mode bits, the verdict, and what it has to learn of the subject from the "
    "kernel, its cgroup too. Half of the rules are about every entry."
)


def run(plan: Plan) -> Outcome:
    """Retrieve with and without, and the decision alone by number of rules."""
    with Workshop() as shop:
        clients = _clients(shop)
        rows = play([*_contests(clients), _decisions()], plan)
    return Outcome(NAME, "Under a policy", rows, [NOTE])


def _clients(shop: Workshop) -> dict[str, Client]:
    policy = ["--policy", str(policies.write(shop.path("policy"), 100))]
    settings = {
        WITHOUT: [],
        WITH_POLICY: policy,
        WITH_LOG: _log(shop),
        WITH_BOTH: [*policy, *_log(shop)],
    }
    clients = {
        name: shop.client("fdstorefs_client", shop.instance(arguments).socket)
        for name, arguments in settings.items()
    }
    clients[S6] = shop.client("s6_client", shop.s6(ENTRIES + 1000)[0])
    for client in clients.values():
        client.fill("stash", "memfd", 0, ENTRIES)
    return clients


def _log(shop: Workshop) -> list[str]:
    return ["--audit", f"file:{shop.path('audit')}"]


def _contests(clients: Mapping[str, Client]) -> list[Contest]:
    def runs(op: str, count: int, names: tuple[str, ...]) -> dict[str, Run]:
        return {name: _timed(clients[name], op, count) for name in names}

    ours = (WITHOUT, WITH_POLICY, WITH_LOG, WITH_BOTH)
    return [
        Contest(
            "retrieve", "us", runs("retrieve", SINGLE, ours), WITHOUT, Target(1.15, "ratio", (WITH_BOTH,))
        ),
        Contest(
            "retrieve, beside s6",
            "us",
            runs("retrieve", SINGLE, (WITHOUT, WITH_BOTH, S6)),
            S6,
            Target(1.0, "ratio", (WITH_BOTH,)),
        ),
        Contest("retrieve, 64 a call", "us", runs("retrieve64", MANY, ours), WITHOUT),
    ]


def _timed(client: Client, op: str, count: int) -> Run:
    return lambda: client.microseconds(op, count, span=ENTRIES)


def _decisions() -> Contest:
    runs: dict[str, Run] = {_name(rules): _Decision(rules) for rules in SIZES}
    return Contest("decision", "us", runs, ONE_RULE, Target(1.1, "ratio", (_name(1000),)))


def _name(rules: int) -> str:
    return ONE_RULE if rules == 1 else f"{rules} rules"


class _Decision:
    """A store under a policy of so many rules, asked by this very process, whose facts come from the kernel."""

    def __init__(self, rules: int) -> None:
        namespace = procfs.own_user_namespace()
        assert namespace is not None
        self._subjects = Subjects()
        self._authority = PolicyAuthority(_in_force(rules), (namespace,))
        store = Store(uid=0, gid=0, clock=time.time_ns, authority=self._authority)
        self._authority.govern(store.tree)
        subject = self._subject()
        store.stash(subject, "x", OpenFile(0, "memfd"), self._subjects.stasher(subject))
        self._target = store.locate(subject, "x")

    def _subject(self) -> Subject:
        return self._subjects.subject(os.getpid(), os.geteuid(), os.getegid())

    def __call__(self) -> float:
        begin = time.perf_counter()
        for _ in range(DECISIONS):
            self._authority.require(self._subject(), Action.RETRIEVE, self._target)
        return (time.perf_counter() - begin) / DECISIONS * 1e6


def _in_force(rules: int) -> InForce:
    with tempfile.TemporaryDirectory() as scratch:
        data = policies.write(Path(scratch) / "policy.yaml", rules).read_bytes()
    loaded = load([source_from_bytes("policy.yaml", data)], HostNames())
    return put_together(loaded.policies, ["policy.yaml"], generation=1, loaded=time.time_ns())
