"""`fdstorefs policy test CASES...`: decide the cases that belong to policies."""

import sys
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, NamedTuple

from fdstorefs.cli.failure import Failure
from fdstorefs.policy.files import CASES_SUFFIXES, SUFFIXES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.policy.cases import Outcome
    from fdstorefs.policy.diagnostic import Diagnostic

EXAMPLES = """\
  fdstorefs policy test web.yaml             the cases in web.cases.yaml
  fdstorefs policy test -v ./policies        a line for each case, in all `*.cases.yaml` below it
  fdstorefs policy test --json . | jq -r '.files[].cases[] | select(.passed | not) | .name'

A file of cases stands beside its policy, and says what is expected of it:
  users: {www-data: 33}
  cases:
    - name: nginx takes its listener back
      request: {action: retrieve, entry: listen/http, kind: socket, uid: www-data}
      expect: allow
      rules: [web-takes-listeners]

The exit code is 1 if a case fails, or if there are errors in a file.
"""


class Tested(NamedTuple):
    """One file of cases. With diagnostics there are no outcomes: a policy with errors decides nothing."""

    file: str
    outcomes: "tuple[Outcome, ...]"
    diagnostics: "tuple[Diagnostic, ...]"

    @property
    def failed(self) -> int:
        """How many cases did not come out as expected."""
        return sum(not outcome.passed for outcome in self.outcomes)

    @property
    def is_good(self) -> bool:
        """Whether all did."""
        return not self.diagnostics and not self.failed


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a `NAME.cases.yaml`, the policy `NAME.yaml` beside one, or a directory, for all in it and below",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="a line for each case, not only for failures"
    )
    parser.add_json("the outcomes")


def run(options: "argparse.Namespace") -> int:
    """Run all, report."""
    results = (tested(file) for argument in options.files for file in case_files(argument))
    if options.json:
        return _report_json(list(results))
    return _report(results, verbose=options.verbose)


def case_files(path: str) -> list[str]:
    """The files of cases that an argument stands for. Raises Failure if there are none."""
    if Path(path).is_dir():
        found = sorted(str(file) for suffix in CASES_SUFFIXES for file in Path(path).rglob(f"*{suffix}"))
        if not found:
            raise Failure(f"no cases in `{path}`", hint="they are called `NAME.cases.yaml`")
        return found
    if path.endswith(CASES_SUFFIXES) or not path.endswith(SUFFIXES):
        return [path]
    stem = Path(path).with_suffix("")
    return [_existing([f"{stem}{suffix}" for suffix in CASES_SUFFIXES], f"no cases for `{path}`")]


def _existing(candidates: list[str], complaint: str) -> str:
    for candidate in candidates:
        if Path(candidate).exists():
            return candidate
    raise Failure(complaint, hint=f"write `{candidates[0]}`, or name another file of cases")


def tested(file: str) -> Tested:
    """Run one file of cases. Raises OSError, Failure."""
    from fdstorefs.cli.policies import read, source
    from fdstorefs.policy.cases import parse_cases, run_cases
    from fdstorefs.policy.diagnostic import PolicyError

    try:
        cases = parse_cases(source(file))
    except PolicyError as error:
        return Tested(file, (), error.diagnostics)
    paths = [str(Path(file).parent / name) for name in cases.policies] or [_policy_of(file)]
    checked = read(paths, cases.names)
    if checked.errors:
        return Tested(file, (), checked.diagnostics)
    return Tested(file, tuple(run_cases(cases, checked.policies)), ())


def _policy_of(file: str) -> str:
    stem = file
    for suffix in CASES_SUFFIXES:
        stem = stem.removesuffix(suffix)
    return _existing([f"{stem}{suffix}" for suffix in SUFFIXES], f"`{file}` names no policies")


def _report(results: "Iterable[Tested]", *, verbose: bool) -> int:
    from fdstorefs.cli.colour import wants_colour
    from fdstorefs.cli.policies import counted, show

    passed, failed, broken = 0, 0, 0
    for result in results:
        show(result.diagnostics, sys.stdout)
        for line in _lines(result, verbose=verbose, colour=wants_colour(sys.stdout)):
            print(line)
        failed += result.failed
        passed += len(result.outcomes) - result.failed
        broken += bool(result.diagnostics)
    files = f", {counted(broken, 'file')} with errors" if broken else ""
    print(f"{passed} passed, {failed} failed{files}")
    return 1 if failed or broken else 0


def _lines(result: Tested, *, verbose: bool, colour: bool) -> "Iterator[str]":
    from fdstorefs.cli.colour import verdict_coloured
    from fdstorefs.cli.visible import visible
    from fdstorefs.policy.explain import as_text

    paint = verdict_coloured if colour else _plain
    for outcome in result.outcomes:
        place = f"{visible(result.file)}:{outcome.case.span.line + 1}: {visible(outcome.case.name)}"
        if outcome.explanation is not None:
            yield f"{paint('FAILED', 'deny')} {place}: {outcome.complaint}"
            yield indent(as_text(outcome.explanation, colour=colour), "    ")
        elif verbose:
            yield f"{paint('passed', 'allow')} {place}"


def _plain(text: str, verdict: str) -> str:  # noqa: ARG001 - the same shape as verdict_coloured
    return text


def _report_json(results: list[Tested]) -> int:
    from fdstorefs.cli.json_output import pretty

    is_good = all(result.is_good for result in results)
    print(pretty({"ok": is_good, "files": [_file_object(result) for result in results]}))
    return 0 if is_good else 1


def _file_object(result: Tested) -> dict[str, object]:
    from fdstorefs.policy.diagnostic import as_json

    return {
        "file": result.file,
        "diagnostics": [as_json(diagnostic) for diagnostic in result.diagnostics],
        "cases": [_case_object(outcome) for outcome in result.outcomes],
    }


def _case_object(outcome: "Outcome") -> dict[str, object]:
    from fdstorefs.policy.explain import as_json

    return {
        "name": outcome.case.name,
        "line": outcome.case.span.line + 1,
        "passed": outcome.passed,
        "expected": "allow" if outcome.case.expect else "deny",
        "verdict": "allow" if outcome.allowed else "deny",
        "rules": list(outcome.rules),
        "explanation": None if outcome.explanation is None else as_json(outcome.explanation),
    }
