"""Where kernel enforcement works, the probe says so of everything that it needs."""

from fdstorefs.bpf.probe import probe


def test_nothing_is_missing() -> None:
    """No finding is bad, and none is unknown to root."""
    assert [] == [finding for finding in probe() if finding.ok is not True]
