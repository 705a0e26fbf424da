"""A short run of the soak: under everything that clients do, and kill -9, an instance costs no more in the end."""

import time
from pathlib import Path
from xml.etree import ElementTree

from tests.mount.keeper.soak.client import MOST_TAKEN
from tests.mount.keeper.soak.plot import plot
from tests.mount.keeper.soak.soak import Plan, soak

MOST_GROWTH = 4 * 1024
"""KiB of all three processes, in the second half: single pages come and go with each fork."""

JOURNAL_BYTES_AN_ENTRY, JOURNAL_BYTES = 1024, 1024 * 1024


def test_descriptors_memory_and_journal_stay_flat(tmp_path: Path) -> None:
    """And no entry is lost, late, or another open file."""
    mount = tmp_path / "store"
    mount.mkdir()
    plan = Plan(
        operations=12_000, clients=2, entries=300, crash_every=1_000, sample_every=200, seed=int(time.time())
    )
    result, said = soak(str(mount), plan, lambda _sample: None)
    picture = plot(result)
    (tmp_path / "plot.svg").write_text(picture)

    assert [] == result.problems, plan
    assert "svg" in ElementTree.fromstring(picture).tag
    assert "Traceback" not in said
    assert len(result.crashes) >= 6
    assert result.still_there <= MOST_TAKEN * plan.clients * len(result.crashes)
    assert (300, 300) == (result.after.entries, result.after.files)
    assert result.after.has_no_more_than(result.before)
    assert result.growth < MOST_GROWTH
    most = max(result.samples, key=lambda sample: sample.journal)
    assert most.journal <= JOURNAL_BYTES + JOURNAL_BYTES_AN_ENTRY * max(
        sample.entries for sample in result.samples
    )
