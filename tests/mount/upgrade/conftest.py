"""Something that is installed, and can be replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.cast import Cast
from tests.mount.upgrade.programs import Installed


@pytest.fixture
def installed(cast: Cast) -> Iterator[Installed]:
    """Version 1.0 of the program."""
    made = Installed(Path(cast.directory(None, "upgrade-")))
    made.install("1.0")
    yield made
    made.end()
