"""The example policies are right, their cases say all that they do, and the bad ones are bad in just the way shown."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from fdstorefs.cli.main import main
from fdstorefs.policy import schema
from fdstorefs.policy.cases import CaseFile, Outcome, parse_cases, run_cases
from fdstorefs.policy.check import check
from fdstorefs.policy.diagnostic import Diagnostic
from fdstorefs.policy.load import Loaded, load, source_from_bytes
from fdstorefs.policy.names import FixedNames
from tests.unit.house.source import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "policies"
CASES = ".cases.yaml"
BAD = sorted(EXAMPLES.glob("*_bad.yaml"))
GOOD = sorted(path for path in EXAMPLES.glob("*.yaml") if path not in BAD and not path.name.endswith(CASES))
CONTROL_FILES = EXAMPLES / "60-no-control-files.yaml"
VALIDATOR = Draft202012Validator(schema.schema())


def cases_of(policy: Path) -> CaseFile:
    """The cases beside a policy."""
    path = policy.with_name(f"{policy.stem}{CASES}")
    return parse_cases(source_from_bytes(path.name, path.read_bytes()))


def read(policy: Path) -> Loaded:
    """The policies that its cases are about: itself, and others beside which it is meant to stand."""
    cases = cases_of(policy)
    sources = [source_from_bytes(name, (EXAMPLES / name).read_bytes()) for name in cases.policies]
    return load(sources, cases.names)


def outcomes(policy: Path) -> list[Outcome]:
    """What comes of the cases."""
    return run_cases(cases_of(policy), read(policy).policies)


def errors(diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> list[str]:
    """Those that are no warnings."""
    return [diagnostic.message for diagnostic in diagnostics if diagnostic.severity == "error"]


def test_there_are_examples() -> None:
    """Good ones and bad ones, and cases for each good one: else nothing here would be tested."""
    cases = {path.name.removesuffix(CASES) for path in EXAMPLES.glob(f"*{CASES}")}

    assert len(GOOD) >= 8
    assert len(BAD) >= 2
    assert {path.stem for path in GOOD} == cases


@pytest.mark.parametrize("policy", GOOD, ids=lambda path: path.stem)
class TestGood:
    """One that is to be followed."""

    def test_has_no_errors(self, policy: Path) -> None:
        """Neither when it is read nor when it is analysed."""
        found = read(policy)

        assert [] == errors(found.diagnostics)
        assert [] == errors(check(found.policies))

    def test_its_cases_are_about_itself(self, policy: Path) -> None:
        """Beside whatever others."""
        assert policy.name in cases_of(policy).policies

    def test_passes_its_cases(self, policy: Path) -> None:
        """With the verdict and the rules that they expect."""
        assert [] == [f"{each.case.name}: {each.complaint}" for each in outcomes(policy) if not each.passed]

    def test_its_cases_say_which_rules_decide(self, policy: Path) -> None:
        """Each of them."""
        assert all(case.rules is not None for case in cases_of(policy).cases)

    def test_each_rule_decides_a_case(self, policy: Path) -> None:
        """So that a rule that somebody changes fails a case."""
        rules = {rule.id for found in read(policy).policies for rule in found.rules}
        deciding = {rule for outcome in outcomes(policy) for rule in outcome.rules}

        assert set() == rules - deciding

    def test_fits_the_schema(self, policy: Path) -> None:
        """So that editors find nothing wrong with it."""
        assert [] == [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(policy.read_text()))]


def together(*policies: Path) -> list[str]:
    """The errors in policies that are in force together; users have the numbers that one of their cases files says."""
    users = {name: number for policy in policies for name, number in cases_of(policy).names.users.items()}
    found = load(
        [source_from_bytes(policy.name, policy.read_bytes()) for policy in policies], FixedNames(users)
    )
    return errors([*found.diagnostics, *check(found.policies)])


@pytest.mark.parametrize(
    "policy", [path for path in GOOD if path != CONTROL_FILES], ids=lambda path: path.stem
)
def test_control_files_are_forbidden_beside_any_other(policy: Path) -> None:
    """No two of their rules have the same id, and each still means something."""
    assert [] == together(CONTROL_FILES, policy)


def test_one_host_may_need_several() -> None:
    """Those for services can be put into one directory."""
    assert [] == together(*(path for path in GOOD if path.stem[:2] in ("20", "30", "50", "60", "70")))


@pytest.mark.parametrize("policy", BAD, ids=lambda path: path.stem)
def test_what_is_said_of_a_bad_one(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file `.expected` beside it is what `fdstorefs policy check` prints, run where the clone is."""
    monkeypatch.chdir(REPOSITORY)
    code = main(["policy", "check", str(policy.relative_to(REPOSITORY))])

    assert 1 == code
    assert policy.with_suffix(".expected").read_text() == capsys.readouterr().out
