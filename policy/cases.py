"""Cases: requests with the verdict that is expected, kept beside the policies they are about.

```yaml
policies: [web-tier.yaml]     # relative to this file; without it, the policy of the same name
users: {www-data: 33}         # so that names mean the same on every machine
groups: {}
cases:
  - name: nginx takes its listener back
    request: {action: retrieve, entry: listen/http, kind: socket, uid: www-data}
    expect: allow
    rules: [web-takes-listeners]     # exactly these decide; `[]` for a denial that no rule decides
```
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from fdstorefs.policy import nodes
from fdstorefs.policy.diagnostic import PolicyError, quoted
from fdstorefs.policy.explain import Explanation, explain
from fdstorefs.policy.findings import Enough, Wrong
from fdstorefs.policy.model import Policy
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.nearest import did_you_mean
from fdstorefs.policy.nodes import Node, Scalar, what
from fdstorefs.policy.parse_fields import distinct_keys
from fdstorefs.policy.parse_scalars import BOOLEANS, decimal, refuse_trap
from fdstorefs.policy.question import KEYS, QuestionError, ask, yes_or_no
from fdstorefs.policy.reading import Reading
from fdstorefs.policy.request import Request
from fdstorefs.policy.span import Source, Span
from fdstorefs.policy.vocabulary import Effect
from fdstorefs.policy.yaml_nodes import node_of
from fdstorefs.policy.yaml_traps import DECIMAL, type_of_plain

FILE_KEYS: Final = ("policies", "users", "groups", "cases")
CASE_KEYS: Final = ("name", "request", "expect", "rules")
_EXPECT: Final = {"allow": True, "deny": False}
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Case:
    """One request and what is expected of it. `rules` None: whichever rules decide."""

    name: str
    request: Request
    expect: bool
    rules: frozenset[str] | None
    span: Span


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases. `policies` are paths relative to it; `names` are for these policies, too."""

    policies: tuple[str, ...]
    names: FixedNames
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case. `allowed` is what all rules decided. `explanation` only if it failed."""

    case: Case
    passed: bool
    allowed: bool
    rules: tuple[str, ...]
    explanation: Explanation | None

    @property
    def complaint(self) -> str | None:
        """What is other than expected, for people; None: nothing is."""
        if self.passed:
            return None
        return f"expected {_told(self.case.expect, self.case.rules)}, got {_told(self.allowed, self.rules)}"


def _told(allowed: bool, rules: frozenset[str] | tuple[str, ...] | None) -> str:
    verdict = Effect.ALLOW.value if allowed else "deny"
    if rules is None:
        return verdict
    return f"{verdict} by {', '.join(map(quoted, sorted(rules)))}" if rules else f"{verdict} by no rule"


def run_cases(file: CaseFile, policies: Sequence[Policy]) -> list[Outcome]:
    """Every case against these policies. A policy in `mode: monitor` is judged as if it were enforced."""
    return [_run(case, policies) for case in file.cases]


def _run(case: Case, policies: Sequence[Policy]) -> Outcome:
    found = explain(policies, case.request)
    as_expected = found.decided is case.expect and (
        case.rules is None or case.rules == frozenset(found.rules)
    )
    return Outcome(case, as_expected, found.decided, found.rules, None if as_expected else found)


def parse_cases(source: Source) -> CaseFile:
    """The cases in a text. Raises PolicyError with all that is wrong with it."""
    reader = _Reader(source)
    found: CaseFile | None = None
    try:
        found = reader.file()
    except Wrong as wrong:
        reader.reading.findings.diagnostics.append(wrong.diagnostic)
    except Enough:
        pass
    diagnostics = reader.reading.findings.in_order()
    if found is None or diagnostics:
        raise PolicyError(diagnostics)
    return found


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A mapping with keys that are known. `node` is the whole."""

    node: nodes.Mapping
    values: Mapping[str, Node]
    keys: Mapping[str, Scalar]

    def required(self, key: str, of: str) -> Node:
        if key not in self.values:
            raise Wrong("missing-key", f"{of} has no `{key}`", self.node.span, f"add `{key}: ...`")
        return self.values[key]


class _Reader:
    """Reads one file; what is wrong gathers in `reading.findings`."""

    def __init__(self, source: Source) -> None:
        self.reading = Reading(FixedNames())
        self._source = source
        self._names = FixedNames()

    def file(self) -> CaseFile | None:
        root = node_of(self._source, self.reading.findings)
        if root is None:
            return None
        top = self._pairs(root, "a file of cases", FILE_KEYS)
        self._names = FixedNames(
            self._try(lambda: self._ids(top, "users")) or {},
            self._try(lambda: self._ids(top, "groups")) or {},
        )
        policies = self._try(lambda: _texts(top.values["policies"])) if "policies" in top.values else None
        return CaseFile(tuple(policies or ()), self._names, tuple(self._cases(top)))

    def _cases(self, top: _Pairs) -> Iterator[Case]:
        listed = top.required("cases", "the file")
        if not isinstance(listed, nodes.Sequence) or not listed.items:
            raise Wrong(
                "no-cases", "`cases` is a list of cases", listed.span, "begin each with `- name: ...`"
            )
        for item in listed.items:
            case = self._try(lambda item=item: self._case(item))  # type: ignore[misc]
            if case is not None:
                yield case

    def _try(self, read: Callable[[], _Result]) -> _Result | None:
        """The result, or nothing with the reason among the findings."""
        try:
            return read()
        except Wrong as wrong:
            self.reading.findings.add(wrong.diagnostic)
        return None

    def _pairs(self, node: Node, whose: str, known: Sequence[str]) -> _Pairs:
        if not isinstance(node, nodes.Mapping):
            raise Wrong("wrong-type", f"{whose} is a mapping, not {what(node)}", node.span)
        keys, values = {}, {}
        for name, (key, value) in distinct_keys(node, self.reading).items():
            if name not in known:
                hint = did_you_mean(name, known) or f"{whose} has {', '.join(f'`{each}`' for each in known)}"
                self.reading.findings.error("unknown-key", f"unknown key {quoted(name)}", key.span, hint)
                continue
            keys[name], values[name] = key, value
        return _Pairs(node, values, keys)

    def _ids(self, top: _Pairs, key: str) -> dict[str, int]:
        if key not in top.values:
            return {}
        node = top.values[key]
        if not isinstance(node, nodes.Mapping):
            raise Wrong("wrong-type", f"`{key}` is a mapping of names to numbers", node.span)
        named = distinct_keys(node, self.reading).items()
        return {name: decimal(_one(value)) for name, (_, value) in named}

    def _case(self, item: Node) -> Case:
        pairs = self._pairs(item, "a case", CASE_KEYS)
        name, expect = (_text(pairs.required(key, "the case")) for key in ("name", "expect"))
        if expect not in _EXPECT:
            hint = did_you_mean(expect, _EXPECT) or "it is `allow` or `deny`"
            raise Wrong(
                "unknown-verdict", f"there is no verdict {quoted(expect)}", pairs.values["expect"].span, hint
            )
        rules = frozenset(_texts(pairs.values["rules"])) if "rules" in pairs.values else None
        request = self._request(self._pairs(pairs.required("request", "the case"), "a request", KEYS))
        return Case(name, request, _EXPECT[expect], rules, item.span)

    def _request(self, pairs: _Pairs) -> Request:
        fields = {key: _words(key, value) for key, value in pairs.values.items()}
        try:
            return ask(fields, self._names)
        except QuestionError as error:
            at = pairs.values.get(error.key, pairs.node)
            raise Wrong("bad-request", error.message, at.span, error.hint) from error


def _words(key: str, value: Node) -> list[str]:
    """What a key of a request says, as a question has it; a boolean is written as in a policy."""
    if key == "guarded" and isinstance(value, Scalar) and value.plain and value.text in BOOLEANS:
        return [yes_or_no(BOOLEANS[value.text])]
    return _texts(value, numbers=key.endswith(("uid", "gid")))


def _one(node: Node) -> Scalar:
    if not isinstance(node, Scalar):
        raise Wrong("wrong-type", f"this is one value, not {what(node)}", node.span)
    if node.plain and not node.text:
        raise Wrong("empty-value", "there is no value", node.span, "write one, or leave the key out")
    return node


def _text(node: Node, *, numbers: bool = False) -> str:
    only = _one(node)
    if not (numbers and type_of_plain(only.text) == DECIMAL):
        refuse_trap(only)
    return only.text


def _texts(node: Node, *, numbers: bool = False) -> list[str]:
    items = node.items if isinstance(node, nodes.Sequence) else [node]
    return [_text(item, numbers=numbers) for item in items]
