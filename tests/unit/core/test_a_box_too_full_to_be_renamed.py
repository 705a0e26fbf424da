"""All that is in a box that is renamed is judged while others wait, so there may be only so much."""

import pytest

from fdstorefs.core import renaming
from fdstorefs.core.store import Store
from fdstorefs.errors import Busy
from tests.unit.core.people import Files, Person


def test_what_is_in_boxes_below_counts(
    store: Store, files: Files, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much as may be moved is moved, one more and nothing is."""
    monkeypatch.setattr(renaming, "MOST_MOVED", 3)
    subject = ada.subject
    box = store.make_box(subject, store.root, "box")
    below = store.make_box(subject, box, "below")
    for name in ("a", "b"):
        store.stash(subject, f"box/below/{name}", files(), ada.stasher)
    store.rename(subject, store.locate(subject, "box"), store.locate_goal(subject, "moved"))
    store.stash(subject, "moved/below/c", files(), ada.stasher)
    with pytest.raises(Busy, match="more than 3") as told:
        store.rename(subject, store.locate(subject, "moved"), store.locate_goal(subject, "again"))

    assert ("moved", "rename what is in it, then remove it") == (told.value.name, told.value.hint)
    assert "moved/below" == below.path
