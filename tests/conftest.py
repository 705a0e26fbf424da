"""What holds for every test: where CI is set, a test that can't run has failed; and nobody's signals are ignored."""

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest


def pytest_configure() -> None:
    """What a shell runs in the background inherits that signals are ignored, and so would all that tests start."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _skips_count_as_failures() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def _turn_into_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    where_and_why = report.longrepr
    why = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} can't run here, which is a failure where CI is set: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test in CI, unless it is marked `may_skip_in_ci(reason)`."""
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    excused = item.get_closest_marker("may_skip_in_ci") is not None
    if report.skipped and _skips_count_as_failures() and not expected_failure and not excused:
        _turn_into_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: Any) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a skipped file in CI."""
    report = yield
    if report.skipped and _skips_count_as_failures():
        _turn_into_failure(report)
    return report
