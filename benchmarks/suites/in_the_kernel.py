"""What the decision costs in the kernel, by number of rules: the very code of the LSM programs, in a test run."""

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.outcome import Outcome, Target
from benchmarks.peers import policies
from benchmarks.peers.programs import Missing
from benchmarks.rounds import Contest, Plan, Run, play
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.rows import IDENTITY, profile_of
from fdstorefs.host.user_database import HostNames
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.default import default_policy
from fdstorefs.policy.load import load, source_from_bytes
from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import EntryFacts, Person, SubjectFacts
from tests.unit.bpf.agree import INSTANCE, Asked
from tests.unit.bpf.deliveries import Lot
from tests.unit.bpf.program import Program
from tests.unit.bpf.questions import question, request

NAME = "kernel"
DECISIONS = 100_000
SIZES = (1, 10, 100, 1000)
ONE_RULE = "1 rule"

STASHER = Person(uid=0, capabilities=0, userns=(1,))
FILE = (EntryFacts("x", kind="socket", filesystem="tmpfs", access="rw", stasher=STASHER, opener=STASHER),)
ROOT, STRANGER = (
    SubjectFacts(uid, gids=frozenset({uid}), capabilities=0, userns=(1,), cgroup="/user.slice")
    for uid in (0, 4711)
)

NOTE = (
    "Nanoseconds of one decision in the kernel, on average over 100,000 in a row by BPF_PROG_TEST_RUN, whose own share "
    "(some 35 ns) is in them. What the hooks spend on finding the tag and the subject's facts is not. Programs are "
    "compiled for what the policy asks for, as they are in an enforcer. The policies are those of the server's "
    "benchmark: each rule asks for a uid and a cgroup, and half of the rules are about every entry."
)


def run(plan: Plan) -> Outcome:
    """The decision for somebody who is allowed, and for somebody who is not, by number of rules."""
    sizes = {_name(rules): _policies(rules) for rules in SIZES}
    target = Target(1.1, "ratio", (_name(SIZES[-1]),))
    contests = [
        Contest("allowed", "ns", _runs(sizes, ROOT), ONE_RULE, target),
        Contest("denied", "ns", _runs(sizes, STRANGER), ONE_RULE, target),
        Contest("its stasher", "ns", _runs({"built-in policy": [default_policy()]}, ROOT)),
    ]
    return Outcome(NAME, "Decisions in the kernel", play(contests, plan), [NOTE])


def _runs(sizes: dict[str, list[Policy]], subject: SubjectFacts) -> dict[str, Run]:
    return {name: _Decision(found, subject) for name, found in sizes.items()}


def _name(rules: int) -> str:
    return ONE_RULE if rules == 1 else f"{rules} rules"


def _policies(rules: int) -> list[Policy]:
    with TemporaryDirectory() as scratch:
        data = policies.write(Path(scratch) / "policy.yaml", rules).read_bytes()
    return list(load([source_from_bytes("policy.yaml", data)], HostNames()).policies)


class _Decision:
    """A file and a subject under some policies, with programs of their own."""

    def __init__(self, found: list[Policy], subject: SubjectFacts) -> None:
        tables = compile_policies(found, generation=1)
        cgroups = frozenset({subject.cgroup} if isinstance(subject.cgroup, str) else ())
        lot = Lot(found, tables, IDENTITY, IDENTITY, (1,), [FILE], [subject], cgroups)
        try:
            self._program = Program(profile_of([tables]))
        except KernelError as error:
            raise Missing(f"this kernel can't run the decision: {error}") from error
        asked = Asked(lot, self._program)
        numbers, records = asked.classify(FILE), asked.set.class_records(FILE)
        about = request(INSTANCE, lot, FILE, subject, asked.cgroups)
        self._question = question(about, INSTANCE, numbers, records)

    def __call__(self) -> float:
        return self._program.repeat(self._question, DECISIONS)
