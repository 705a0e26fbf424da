"""Whatever is lost or taken out between two records shows; what is accounted for is told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit.reader import Record
from fdstorefs.audit.verify import Run, count, verify
from tests.unit.audit_reading.records import OTHER_RUN, SECOND, event, start, verdict

WHOLE = [start(), *(verdict(seq) for seq in range(2, 9)), event(9, "stop", written=8, lost=0)]


def run_of(*files: list[Record]) -> Run:
    """The only run in these files."""
    (run,) = verify(files)
    return run


def test_a_whole_run() -> None:
    """Nothing is said against it."""
    run = run_of(WHOLE)

    assert run.is_whole
    assert (9, True, 1) == (run.records, run.stopped, run.beginning)


@given(st.sets(st.integers(1, 7), min_size=1))
def test_whatever_is_taken_out_of_the_middle_shows(taken: set[int]) -> None:
    """By its number."""
    rest = [record for at, record in enumerate(WHOLE) if at not in taken]
    missing = {number for first, last in run_of(rest).missing for number in range(first, last + 1)}

    assert {at + 1 for at in taken} == missing


@given(st.lists(st.integers(0, 2), min_size=9, max_size=9), st.permutations([0, 1, 2]))
def test_rotation_makes_no_difference(places: list[int], order: list[int]) -> None:
    """However the records are spread over files, and in whichever order these are given."""
    files: list[list[Record]] = [[], [], []]
    for record, place in zip(WHOLE, sorted(places), strict=True):
        files[place].append(record)

    assert run_of(*(files[at] for at in order)).is_whole


def test_a_loss_that_the_log_tells_of() -> None:
    """It is no whole log, but nothing is missing without a word."""
    run = run_of([start(), verdict(5, lost_before=3)])

    assert (3, [], False) == (run.lost, run.missing, run.is_whole)


def test_a_loss_that_it_tells_only_part_of() -> None:
    """The lost are those next before the record."""
    run = run_of([start(), verdict(9, lost_before=3)])

    assert (3, [(2, 5)]) == (run.lost, run.missing)


def test_a_loss_that_an_event_tells_of_later() -> None:
    """Such as of a full disk; what the event does not name stays missing."""
    told = event(10, "audit-lost", target="file:/a", lost=3, first_seq=4, last_seq=6)
    run = run_of([start(), verdict(9), told])

    assert (3, [(2, 3), (7, 8)]) == (run.lost, run.missing)


def test_what_was_under_way_when_a_server_was_killed() -> None:
    """The next one says which records these were; what is there of them is not lost, and any other is missing."""
    restart = event(8, "restart", first_seq=4, last_seq=7)
    run = run_of([start(), verdict(2), verdict(5), restart])

    assert (3, [(3, 3)]) == (run.lost, run.missing)


def test_a_killed_server_after_whom_nothing_is_missing() -> None:
    """It had written everything."""
    assert run_of([*WHOLE[:-1], event(9, "restart"), event(10, "stop", written=9, lost=0)]).is_whole


@pytest.mark.parametrize("target", [{}, {"target": "syslog"}])
def test_a_loss_elsewhere_excuses_nothing_here(target: dict[str, str]) -> None:
    """What another target lost should be in this one."""
    told = event(4, "audit-lost", lost=1, first_seq=2, last_seq=2, **target)
    run = run_of([start(), verdict(3), told])

    assert (0, [(2, 2)]) == (run.lost, run.missing)


def test_a_file_given_twice() -> None:
    """Shows as what is there twice."""
    assert [1] == run_of(WHOLE, WHOLE).repeated


def test_a_record_written_twice() -> None:
    """Or put where it does not belong."""
    assert [3, 3] == run_of([start(), verdict(2), verdict(3), verdict(3), verdict(4), verdict(3)]).repeated


def test_losses_that_contradict_the_numbers() -> None:
    """A record that says more were lost than there is room for."""
    assert [2] == run_of([start(), verdict(2, lost_before=1)]).repeated
    assert [1] == run_of([start(1, lost_before=1)]).repeated


@pytest.mark.parametrize(("behind", "expected"), [(SECOND // 2, []), (3 * SECOND, [3])])
def test_the_clock_that_is_never_set(behind: int, expected: list[int]) -> None:
    """It does not go back, but for the moment between taking the time and the number."""
    records = [start(), verdict(2), verdict(3, boottime=2 * SECOND - behind)]

    assert expected == run_of(records).backwards


def test_the_clock_is_compared_with_the_latest() -> None:
    """One record that is behind does not excuse the next."""
    times = [(1, 1), (2, 9), (3, 5), (4, 6), (5, 10)]

    assert [3, 4] == run_of([verdict(seq, boottime=time * SECOND) for seq, time in times]).backwards


def test_the_clock_is_compared_across_files() -> None:
    """Rotation is no excuse."""
    assert [3] == run_of([start(), verdict(2, boottime=9 * SECOND)], [verdict(3)]).backwards


def test_the_beginning_of_the_first_run_may_be_rotated_away() -> None:
    """It is told, and nothing is missing for it."""
    run = run_of([verdict(7), verdict(8)])

    assert (7, True) == (run.beginning, run.is_whole)


def test_the_beginning_of_a_later_run_may_not() -> None:
    """Rotation takes what is oldest."""
    later = [verdict(seq, run=OTHER_RUN) for seq in (17, 18)]
    runs = verify([WHOLE, later])

    assert [[], [(1, 16)]] == [run.missing for run in runs]


def test_each_instance_has_a_first_run() -> None:
    """Two that write to one file have nothing to do with one another."""
    elsewhere = [verdict(seq, run=OTHER_RUN, instance="/mnt") for seq in (17, 18)]

    assert all(run.is_whole for run in verify([[*WHOLE, *elsewhere]]))


def test_runs_may_be_mingled() -> None:
    """Numbers count within one run."""
    others = [{**record, "run": OTHER_RUN, "instance": "/mnt"} for record in WHOLE]
    mingled = [record for pair in zip(WHOLE, others, strict=True) for record in pair]

    assert all(run.is_whole for run in verify([mingled]))


def test_an_empty_log() -> None:
    """Has no runs."""
    assert [] == verify([[]])


def test_counting_ranges() -> None:
    """Both ends are among them."""
    assert count([(1, 1), (3, 5)]) == 4
