"""Whether evaluator and oracle agree about a case, and the smallest case where they don't."""

from collections.abc import Iterable, Sequence

from fdstorefs.policy.classify import classify
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import Evaluator, decide
from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import Request, Userns
from fdstorefs.policy.tables import Tables
from fdstorefs.policy.verdict import Verdict
from tests.unit.policy.case import Case, shown
from tests.unit.policy.oracle import OracleVerdict, verdict
from tests.unit.policy.smaller import smallest


def evaluated(policies: Sequence[Policy], request: Request) -> OracleVerdict:
    """The evaluator's verdict under these policies, in the oracle's form."""
    return by_tables(compile_policies(policies), request)


def by_tables(tables: Tables, request: Request) -> OracleVerdict:
    """The evaluator's verdict by tables that are there already."""
    return _as_oracle(decide(tables, request))


def differ(case: Case) -> bool:
    """Whether evaluator and oracle give different verdicts."""
    return evaluated(case.policies, case.request) != verdict(case.policies, case.request)


def must_agree(policies: Sequence[Policy], requests: Iterable[Request]) -> list[OracleVerdict]:
    """The verdicts on the requests; fails with the smallest such case where evaluator and oracle differ.

    One evaluator for each user namespace decides them all, as in a server, so that it remembers.
    """
    tables = compile_policies(policies)
    evaluators: dict[Userns, Evaluator] = {}
    verdicts = []
    for request in requests:
        expected = verdict(policies, request)
        evaluator = evaluators.setdefault(request.instance, Evaluator(tables, request.instance))
        if _by(evaluator, request) != expected:
            raise AssertionError(_explained(Case(policies, request)))
        verdicts.append(expected)
    return verdicts


def _by(evaluator: Evaluator, request: Request) -> OracleVerdict:
    entry, *also = (classify(evaluator.tables, name) for name in (request.entry, *request.also))
    return _as_oracle(evaluator.decide(request.action, entry, request.subject, also))


def _as_oracle(found: Verdict) -> OracleVerdict:
    return OracleVerdict(found.allowed, found.decided, frozenset(found.rules))


def _explained(case: Case) -> str:
    if not differ(case):
        return f"differs only after the requests before it: {shown(case)}"
    case = smallest(case, differ)
    return (
        f"evaluator and oracle differ\n{shown(case)}\n"
        f"oracle:    {verdict(case.policies, case.request)}\n"
        f"evaluator: {evaluated(case.policies, case.request)}"
    )
