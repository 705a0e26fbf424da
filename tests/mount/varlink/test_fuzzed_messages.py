"""Whatever bytes come over the socket, the answer is Varlink, the server stays, and does not grow."""

from collections.abc import Callable

import pytest

from tests.mount.instance import Instance
from tests.mount.varlink.fuzz_messages import GROWTH, fuzz, memory

WARM_UP, CASES = 500, 2500


@pytest.mark.slow
def test_fuzzed_messages_leave_no_trace(running_instance: Callable[..., Instance]) -> None:
    """Neither a traceback nor memory, and among the answers are results as well as errors."""
    instance = running_instance()
    path = f"{instance.mount}/.fdstore"
    fuzz(path, WARM_UP, seed=1)
    before = memory(instance.pid)
    found = fuzz(path, CASES, seed=2)

    assert memory(instance.pid) - before < GROWTH
    assert "Traceback" not in instance.said()
    assert instance.process.poll() is None
    assert found["a result"] > CASES // 20
    assert found["InvalidParameter"] > CASES // 20
