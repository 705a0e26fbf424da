"""A warm process gives its children little reason to copy what they share with it."""

import subprocess
import sys

from fdstorefs.policy.default import default_policy
from fdstorefs.server.enforcement.in_force import put_together

_PAGES_OF_NEW_OBJECTS = """
from fdstorefs.server import warmth

warmth.warm_up()
new = [bytes(100) for _ in range(100)]
print(len({id(each) // 4096 for each in new}))
"""


def _output_of(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_new_objects_lie_among_themselves() -> None:
    """A hundred objects of 133 bytes take four or five pages, not a gap here and a gap there."""
    found = int(_output_of(_PAGES_OF_NEW_OBJECTS))

    assert found in (4, 5)


def test_code_that_servers_execute_lies_together() -> None:
    """Of all functions every tenth, on at most four times the pages that they fill; and they do what they did."""
    found = _output_of(
        """
import argparse, gc, sys, types
from fdstorefs.server import warmth

functions = [each for each in gc.get_objects() if type(each) is types.FunctionType][::10]
warmth.warm_up({hash(function.__code__) for function in functions})
codes = {id(function.__code__): function.__code__ for function in functions}.values()
pages = {(id(code) + at) // 4096 for code in codes for at in range(0, sys.getsizeof(code), 512)}
print(len(pages) <= 2 + sum(map(sys.getsizeof, codes)) // 1024, argparse.ArgumentParser(prog="ours").prog)
"""
    )

    assert found == "True ours"


def test_code_within_code_is_copied_with_it() -> None:
    """A comprehension is executed, too."""
    found = _output_of(
        """
from fdstorefs.server import warmth

def outer(numbers):
    return sorted(numbers, key=lambda number: -number)

former = outer.__code__
inner = next(each for each in former.co_consts if hasattr(each, "co_code"))
warmth.warm_up({hash(inner)})
print(outer.__code__ is not former, inner not in map(id, outer.__code__.co_consts), outer([1, 2]))
"""
    )

    assert found == "True True [2, 1]"


def test_its_objects_are_left_alone_by_the_collector() -> None:
    """Nothing of what there is when it is warm is looked at again."""
    found = _output_of(
        "import gc; from fdstorefs.server import warmth; warmth.warm_up(); print(gc.get_freeze_count() > 10_000)"
    )

    assert found == "True"


def test_the_default_policy_is_compiled_once() -> None:
    """Each server has the tables that the process it was forked from has made."""
    one, other = (put_together([default_policy()], (), generation=1, loaded=moment) for moment in (1, 2))

    assert one.tables is other.tables


def test_a_generation_of_the_default_policy_has_its_number() -> None:
    """What was made for one generation is not taken for another."""
    made = [put_together([default_policy()], (), generation=number, loaded=1) for number in (1, 2)]

    assert [made.tables.generation for made in made] == [1, 2]
    assert made[0].mark.hash == made[1].mark.hash
