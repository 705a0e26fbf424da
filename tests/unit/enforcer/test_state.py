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
from fdstorefs.enforcer.switched import Switched
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
switches = st.builds(Switched, st.sampled_from(Mode), texts)
states = st.builds(
    State,
    numbers,
    texts,
    texts,
    st.dictionaries(numbers, standings, max_size=3),
    st.dictionaries(st.integers(0, 2**64 - 1), files, max_size=3),
    st.dictionaries(texts, switches, max_size=3),
    st.integers(0, 2**64 - 1),
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


WITHOUT_SENSE = [
    "",
    "[]",
    "{}",
    '{"version": 99}',
    '{"version": 2, "generation": 1}',
    "\0",
    '{"version": 2',
    "[" * 100_000,
    *(
        f'{{"version": 2, "generation": 1, "policies": "", "programs": "", "instances": {{}}, "files": {{}}, '
        f'"switches": {switches}}}'
        for switches in ("[]", '{"p": 1}', '{"p": ["enforce"]}', '{"p": ["off", "0"]}')
    ),
]


GOOD = State(
    1,
    "a",
    "b",
    {1: Standing(Whereabouts("/m", 0, "/c"), (Extent(0, 0, 1),), (Extent(0, 0, 1),))},
    {
        2: GuardedFile(
            1,
            (
                EntryFacts(
                    "a", "memfd", "tmpfs", "r", "l", Person(1, 2, (3,)), Person(1, 2, (3,)), guarded=True
                ),
            ),
            frozenset({5}),
            (6,),
        )
    },
    {"p": Switched(Mode.MONITOR, "0")},
    7,
)


def places(found: object) -> list[tuple[object, ...]]:
    """The ways to everything in JSON."""
    if isinstance(found, dict):
        items: list[tuple[object, object]] = list(found.items())
    else:
        items = list(enumerate(found)) if isinstance(found, list) else []
    return [()] + [(key, *rest) for key, each in items for rest in places(each)]


def replaced(found: object, way: tuple[object, ...], by: object) -> object:
    """JSON with something else in a place."""
    if not way:
        return by
    assert isinstance(found, dict | list)
    copy = found.copy()
    copy[way[0]] = replaced(copy[way[0]], way[1:], by)  # type: ignore[index, call-overload]
    return copy


def test_json_of_another_shape_is_none(tmp_path: Path) -> None:
    """Whatever stands in the place of whatever: the enforcer starts."""
    path = tmp_path / "state"
    write_state(str(path), GOOD)
    good = json.loads(path.read_text())
    assert GOOD == read_state(str(path))

    understood = []
    for way in places(good):
        path.write_text(json.dumps(replaced(good, way, True)))
        if State() != read_state(str(path)):
            understood.append(way)

    assert [] == understood


@pytest.mark.parametrize("text", WITHOUT_SENSE)
def test_what_makes_no_sense_is_none(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """As if there were no file, and the log says what that means."""
    path = tmp_path / "state"
    path.write_text(text)

    assert State() == read_state(str(path))
    assert "modes that policies were switched to are lost" in caplog.text


def test_none_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so."""
    caplog.set_level("INFO")

    assert State() == read_state(str(tmp_path / "missing"))
    assert "no former enforcer has left its state" in caplog.text


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


def test_who_has_not_written_what_it_reported_has_reported_nothing(tmp_path: Path) -> None:
    """Losses are told of twice then, and never by nobody."""
    file = tmp_path / "state"
    write_state(str(file), State(generation=5, reported=9))
    written = json.loads(file.read_text())
    del written["reported"]
    file.write_text(json.dumps(written))

    assert State(generation=5) == read_state(str(file))
