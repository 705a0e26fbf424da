"""What real processes get through the hooks is what Python's decision lets them have, and for the same reason.

The decision by itself is compared on many more cases in tests/unit/bpf; here what the hooks find out of a subject and
of a file is compared too.
"""

from collections.abc import Callable, Iterator
from random import Random

import pytest

from fdstorefs.bpf.abi import Reason
from fdstorefs.bpf.kernel import Kernel
from tests.kernel.actor import Actor
from tests.kernel.hooks.agreement import Stage, agree
from tests.unit.bpf.deliveries import Lot, lot

EACH = 18
"""Files of a lot, and subjects."""
RULES = (1, 2, 3, 6, 6, 9, 12, 12, 16)
TERMS = (63, 64)
"""As many as the programs of these tests can tell apart."""
CASES = 3000


@pytest.fixture
def stage(kernel: Kernel, actor: Callable[..., Actor]) -> Iterator[Stage]:
    """Namespaces, and files that were opened in them."""
    with Stage(kernel, actor) as made:
        yield made


def made(kernel: Kernel) -> Iterator[Lot]:
    """Policies of many sizes."""
    for seed, rules in enumerate((*RULES, *TERMS)):
        generation = kernel.numbers.next_generation()
        yield lot(seed, rules, EACH, sets=rules not in TERMS, generation=generation)


def test_for_any_policy_file_and_process(kernel: Kernel, stage: Stage) -> None:
    """In any user namespace and control group, with any ids, groups and capabilities; no record is lost."""
    reasons = agree(made(kernel), stage, Random(1))
    often = {reason for reason, times in reasons.items() if times > 100}

    assert (
        {Reason.BY_RULE, Reason.BY_FORBID, Reason.BY_NO_RULE, Reason.STRANGE_CGROUP} == often == set(reasons)
    )
    assert reasons.total() >= CASES
    assert 0 == kernel.lost()
