"""What the command line may say about the audit log."""

import os

import pytest

from fdstorefs.audit.options import Fsync, parse_fsync
from fdstorefs.audit.target import Target, parse_targets
from fdstorefs.errors import InvalidArgument


def test_targets() -> None:
    """Each once, in order."""
    assert (
        Target("file", "/var/log/a"),
        Target("stderr"),
        Target("journald"),
        Target("syslog"),
    ) == parse_targets(["file:/var/log/a", "stderr", "journald", "file:/var/log/../log/a", "syslog"])


def test_a_relative_path_is_below_the_working_directory() -> None:
    """The server may change its own later."""
    assert (Target("file", f"{os.getcwd()}/a:b"),) == parse_targets(["file:a:b"])


def test_none_is_no_target() -> None:
    """And nothing said is none either."""
    assert () == parse_targets(["none"])
    assert () == parse_targets([])


@pytest.mark.parametrize(
    "words",
    [["none", "stderr"], ["file"], ["file:"], ["file:/dir/"], ["file:a\0b"], ["stderr:1"], ["jornald"], [""]],
)
def test_what_is_no_target(words: list[str]) -> None:
    """It is refused, with a hint."""
    with pytest.raises(InvalidArgument) as refused:
        parse_targets(words)

    assert refused.value.hint


@pytest.mark.parametrize("word", ["never", "always", "interval:0.5", "interval:10"])
def test_fsync(word: str) -> None:
    """What is read is what is shown."""
    assert word == str(parse_fsync(word))


def test_fsync_in_seconds() -> None:
    """`always` is after no time at all."""
    assert [Fsync(None), Fsync(0), Fsync(2.5)] == [
        parse_fsync(w) for w in ("never", "always", "interval:2.5")
    ]


@pytest.mark.parametrize(
    "word", ["", "sometimes", "interval", "interval:", "interval:0", "interval:-1", "interval:nan"]
)
def test_what_is_no_fsync(word: str) -> None:
    """It is refused, with a hint."""
    with pytest.raises(InvalidArgument) as refused:
        parse_fsync(word)

    assert refused.value.hint
