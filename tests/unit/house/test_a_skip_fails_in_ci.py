"""Where CI is set, a test that can't run is a failure: no tier falls silent unnoticed."""

import pytest

from tests.unit.house.source import REPOSITORY

pytest_plugins = ["pytester"]

SKIPPED = "import pytest\ndef test_one():\n    pytest.skip('no device')\n"
SKIPPED_IN_SETUP = (
    "import pytest\n"
    "@pytest.fixture\ndef device():\n    pytest.skip('no device')\n"
    "def test_one(device):\n    pass\n"
)
SKIPPED_FILE = "import pytest\npytest.skip('no device', allow_module_level=True)\n"
EXCUSED = "import pytest\n@pytest.mark.may_skip_in_ci('why')\ndef test_one():\n    pytest.skip('no device')\n"
EXPECTED_TO_FAIL = "import pytest\n@pytest.mark.xfail\ndef test_one():\n    assert False\n"


def outcomes(pytester: pytest.Pytester, text: str) -> dict[str, int]:
    """How the tests in a file end under this project's rules."""
    pytester.makeconftest((REPOSITORY / "tests" / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers = may_skip_in_ci(reason): excused")
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess().parseoutcomes()


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (SKIPPED, {"failed": 1}),
        (SKIPPED_IN_SETUP, {"errors": 1}),
        (SKIPPED_FILE, {"errors": 1}),
        (EXCUSED, {"skipped": 1}),
        (EXPECTED_TO_FAIL, {"xfailed": 1}),
    ],
    ids=["in the test", "in a fixture", "a whole file", "excused", "expected to fail"],
)
def test_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str, outcome: dict[str, int]
) -> None:
    """Every skip but an excused one counts as a failure."""
    monkeypatch.setenv("CI", "true")

    assert outcome == outcomes(pytester, text)


@pytest.mark.parametrize("text", [SKIPPED, SKIPPED_IN_SETUP, SKIPPED_FILE])
def test_elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """On a developer's machine a skip is a skip."""
    monkeypatch.delenv("CI", raising=False)

    assert {"skipped": 1} == outcomes(pytester, text)
