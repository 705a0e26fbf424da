"""Waiting for something to come true, with a deadline: no test sleeps and hopes."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_for(predicate: Callable[[], T], seconds: float = 10, what: str = "") -> T:
    """Poll until the predicate is true and return what it returned; fail when the time is up."""
    deadline = time.monotonic() + seconds
    while not (outcome := predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {what or predicate}")
        time.sleep(0.005)
    return outcome
