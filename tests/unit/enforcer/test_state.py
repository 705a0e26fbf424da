"""The next enforcer learns from the state file what it cannot read out of the kernel."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.bpf.rows import Extent
from fdstorefs.enforcer.book import GuardedFile
from fdstorefs.enforcer.generation import Generation, Standing
from fdstorefs.enforcer.state import State, digest_of_policies, read_state, write_state
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Person
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.applies import Whereabouts
from tests.unit.enforcer.enforced import POLICY, policy_set

numbers = st.integers(0, 2**32 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.just("\udcff")
people = st.builds(
    Person,
    numbers | st.just(UNKNOWN),
    st.integers(0, 2**41) | st.just(UNKNOWN),
    st.lists(numbers, min_size=1).map(tuple) | st.just(UNKNOWN),
)
names = st.builds(
    EntryFacts,
    texts,
    st.sampled_from(["memfd", "socket", UNKNOWN]),
    st.sampled_from(["tmpfs", UNKNOWN]),
    st.sampled_from(["r", "path", UNKNOWN]),
    st.none() | texts,
    people,
    people,
    st.just(True),
)
extents = st.lists(st.builds(Extent, numbers, numbers, numbers), max_size=3).map(tuple)
standings = st.builds(Standing, st.builds(Whereabouts, texts, numbers, st.none() | texts), extents, extents)
files = st.builds(
    GuardedFile,
    numbers,
    st.lists(names, max_size=3).map(tuple),
    st.frozensets(st.integers(0, 2**64 - 1), max_size=3),
    st.lists(numbers, max_size=4).map(tuple),
)
states = st.builds(
    State,
    numbers,
    texts,
    texts,
    st.dictionaries(numbers, standings, max_size=3),
    st.dictionaries(st.integers(0, 2**64 - 1), files, max_size=3),
)


@given(state=states)
def test_what_is_written_is_read(state: State, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever names there are."""
    path = str(tmp_path_factory.mktemp("state") / "state")

    write_state(path, state)

    assert state == read_state(path)


def test_only_root_may_read_it(tmp_path: Path) -> None:
    """It has names of entries."""
    write_state(str(tmp_path / "state"), State())

    assert 0o600 == (tmp_path / "state").stat().st_mode & 0o777


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 99}', '{"version": 1, "generation": 1}', "\0", '{"version": 1'],
)
def test_what_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    """As if there were no file."""
    path = tmp_path / "state"
    path.write_text(text)

    assert State() == read_state(str(path))
    assert State() == read_state(str(tmp_path / "missing"))


def test_a_half_written_one_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays until the new one is whole."""
    path = tmp_path / "state"
    write_state(str(path), State(generation=1))

    def fail(*_arguments: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(TimeoutError):
        write_state(str(path), State(generation=2))

    assert 1 == read_state(str(path)).generation


def test_the_digest_tells_policies_apart() -> None:
    """By their texts and modes, not by the generation."""
    plain = digest_of_policies(Generation(policy_set(POLICY), 1))

    assert plain == digest_of_policies(Generation(policy_set(POLICY), 2))
    assert plain != digest_of_policies(Generation(policy_set(POLICY.replace("web", "db")), 1))
    assert plain != digest_of_policies(Generation(policy_set(POLICY, modes={"p": Mode.MONITOR}), 1))
    assert plain != digest_of_policies(Generation(policy_set(), 1))
