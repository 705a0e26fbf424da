"""The stage of all examples, and instances on it that serve by them."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.cast import REPOSITORY, Cast
from tests.mount.conftest import await_readiness
from tests.mount.example_policies.stage import Role, Stage, new_stage
from tests.mount.instance import Instance

EXAMPLES = REPOSITORY / "examples" / "policies"
