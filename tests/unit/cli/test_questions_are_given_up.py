"""Whoever asks what may never answer is given up, and nobody else waits for that."""

import time
from typing import Any

import pytest

from fdstorefs.cli.bounded import AT_ONCE, ask_all

_FOREVER = 3600


def _stuck() -> None:
    time.sleep(_FOREVER)


def _fail() -> None:
    raise ZeroDivisionError


def test_each_answer_has_the_number_of_its_question() -> None:
    """Whichever comes first."""
    questions = [lambda number=number: number * number for number in range(3 * AT_ONCE)]

    answers = dict(ask_all(questions, 60))

    assert {number: number * number for number in range(3 * AT_ONCE)} == answers


def test_one_that_takes_too_long_has_no_answer() -> None:
    """The others have theirs."""
    answers: dict[int, Any] = dict(ask_all([_stuck, lambda: "quick"], 5))

    assert {0: None, 1: "quick"} == answers


def test_one_that_fails_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    """Its answer is none, and the reason is not kept quiet."""
    answers: dict[int, Any] = dict(ask_all([_fail], 60))

    assert {0: None} == answers
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_an_answer_longer_than_a_pipe_is_whole() -> None:
    """It comes in pieces."""
    (answer,) = ask_all([lambda: "x" * 300_000], 60)

    assert (0, "x" * 300_000) == answer


def test_without_questions_there_are_no_answers() -> None:
    """Nor is anybody waited for."""
    assert [] == list(ask_all([], 60))
