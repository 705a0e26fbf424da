"""A short run of the fuzzer, which otherwise runs by hand, and proof that it would see what it looks for."""

import pytest

from fdstorefs.policy import load as loading
from fdstorefs.policy.diagnostic import Diagnostic, Severity
from fdstorefs.policy.load import Loaded
from fdstorefs.policy.span import Source, Span
from tests.unit.policy import fuzz_policy


def test_short_run() -> None:
    """Two thousand policies, right and wrong: all answered; enough of both kinds."""
    tally = fuzz_policy.run(2000, seed=1)

    assert 2000 == tally.loaded + tally.refused
    assert tally.loaded > 100
    assert len(tally.codes) > 40


def test_same_seed_same_texts() -> None:
    """A failure can be had again."""
    assert list(fuzz_policy.texts(20, seed=7)) == list(fuzz_policy.texts(20, seed=7))


def _raises(*_: object) -> Loaded:
    raise RecursionError


def _nothing(*_: object) -> Loaded:
    return Loaded((), ())


def _outside(*_: object) -> Loaded:
    span = Span(Source.of("p", "a"), 0, 0, 0, 2)
    return Loaded((), (Diagnostic(Severity.ERROR, "x", "x", span),))


@pytest.mark.parametrize("broken", [_raises, _nothing, _outside])
def test_it_fails_where_it_should(monkeypatch: pytest.MonkeyPatch, broken: object) -> None:
    """An exception, silence and a place outside the text each end the run."""
    monkeypatch.setattr(fuzz_policy, loading.load.__name__, broken)
    with pytest.raises(fuzz_policy.Failed):
        fuzz_policy.run(50, seed=1)
