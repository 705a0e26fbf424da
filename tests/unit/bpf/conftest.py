"""The kernel, for the tests that run the decision in it."""

import os

import pytest

from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.rows import profile_of
from tests.unit.bpf.program import Program


@pytest.fixture(scope="session")
def kernel() -> None:
    """A kernel that loads and runs programs; skips where it takes none of ours, and says why."""
    if os.geteuid() != 0:
        pytest.skip("only root can have the kernel run the decision")
    try:
        Program(profile_of([])).close()
    except KernelError as error:
        if error.code not in {"no-bcc", "no-btf", "load"}:
            raise
        pytest.skip(f"this kernel can't run the decision: {error}")
