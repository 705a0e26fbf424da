"""Loading: bytes to texts, texts to policies, and everything that is wrong with them in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity
from fdstorefs.policy.files import MAX_BYTES
from fdstorefs.policy.findings import Enough
from fdstorefs.policy.model import Policy
from fdstorefs.policy.names import Names
from fdstorefs.policy.parse import parse_policy
from fdstorefs.policy.reading import Reading
from fdstorefs.policy.span import Source, Span
from fdstorefs.policy.vocabulary import MAX_TERMS

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it. If it isn't `ok`, rules are missing from the policies, and none of them may be used."""

    policies: tuple[Policy, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors; there may be warnings."""
        return all(diagnostic.severity is not Severity.ERROR for diagnostic in self.diagnostics)


def load(sources: Sequence[Source], names: Names) -> Loaded:
    """Read all policies that will be in force together. Diagnostics come in the order of the texts.

    Rule ids and policy names are unique among all of them. Whether a rule can ever matter is not looked at.
    """
    reading = Reading(names)
    policies: list[Policy] = []
    try:
        for source in sources:
            read = parse_policy(source if source.lines else Source.of(source.name, source.text), reading)
            if read is not None:
                policies.append(read)
        _check_terms(policies, reading)
    except Enough:
        pass
    return Loaded(tuple(policies), reading.findings.in_order())


def source_from_bytes(name: str, data: bytes) -> Source:
    """A source from the bytes of a file; raises PolicyError. Lines may end as they do on Windows."""
    if len(data) > MAX_BYTES:
        message = f"the policy has {len(data):,} bytes, more than {MAX_BYTES:,}"
        _refuse("too-big", message, Span(Source.of(name, ""), 0, 0, 0, 0), "split it")
    data = data.removeprefix(BYTE_ORDER_MARK)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _refuse_encoding(name, data, error)
    source = Source.of(name, text.replace("\r\n", "\n"))
    for number, line in enumerate(source.lines):
        if "\0" in line:
            at = line.index("\0")
            _refuse(
                "nul-byte",
                "a policy has no NUL bytes",
                Span(source, number, at, number, at + 1),
                "take it out",
            )
    return source


def _refuse_encoding(name: str, data: bytes, error: UnicodeDecodeError) -> NoReturn:
    source = Source.of(name, data.decode(errors="replace").replace("\r\n", "\n"))
    before = data[: error.start].decode().replace("\r\n", "\n")
    line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    message = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
    hint = "a policy is UTF-8 text; as UTF-16 or Latin-1 it can't be read"
    _refuse("not-utf-8", message, Span(source, line, column, line, column + 1), hint)


def _refuse(code: str, message: str, span: Span, hint: str) -> NoReturn:
    raise PolicyError([Diagnostic(Severity.ERROR, code, message, span, hint)])


def _check_terms(policies: list[Policy], reading: Reading) -> None:
    terms = 0
    for rule in (rule for each in policies for rule in each.rules):
        terms += max(1, len(rule.when.subjects))
        if terms > MAX_TERMS:
            message = f"from here on there are more than {MAX_TERMS} rules, each counted once for every set it names"
            reading.findings.error("too-many-rules", message, rule.spans["id"], "put rules together, or sets")
            return
