"""Where there is no instance, `fdstorefs instances` lists none, and that is no failure."""

import json

import pytest

from fdstorefs.cli.main import main
from fdstorefs.host import mounted_anywhere


@pytest.fixture(autouse=True)
def no_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is mounted anywhere."""
    monkeypatch.setattr(mounted_anywhere, "find_mounts", lambda _fstype: [])


def test_people_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error: a list of nothing is empty."""
    code = main(["instances"])

    assert (0, ("", "fdstorefs: no instance is to be seen\n")) == (code, tuple(capsys.readouterr()))


def test_programs_get_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    """And another of what could not be asked."""
    code = main(["instances", "--json"])

    out, said = capsys.readouterr()
    assert (0, {"instances": [], "unasked": []}, "") == (code, json.loads(out), said)
