"""What is published: Markdown tables that are tables, SVG that is well-formed XML."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.outcome import Outcome, Row, Target
from benchmarks.publish import BEGIN, END, publish, update_readme
from benchmarks.rate_plot import rate_plot
from benchmarks.ratio_plot import ratio_plot
from benchmarks.scale import LogScale, bounds
from benchmarks.spread import spread
from benchmarks.table import markdown, number

SVG = "{http://www.w3.org/2000/svg}"
FACTS = {"kernel": "6.1", "cores": 2}


def _outcome(peer: str | None = "s6 <&> others") -> Outcome:
    series = {"ours": [10.0, 12.0, 11.0], "s6 <&> others": [20.0, 20.0, 22.0]}
    target = Target(0.3, "ratio", ("ours",)) if peer else None
    return Outcome(
        "socket", 'Calls & "descriptors"', [Row("retrieve <1>", "us", series, peer, target)], ["Note."]
    )


def _texts(picture: str) -> Iterator[str]:
    for element in ElementTree.fromstring(picture).iter(f"{SVG}text"):
        yield element.text or ""


def test_every_line_of_a_table_has_as_many_cells_as_its_header() -> None:
    """Otherwise Markdown shows no table."""
    lines = [line for line in markdown(_outcome()).splitlines() if line.startswith("|")]

    assert len(lines) == 4
    assert {lines[0].count("|")} == {line.count("|") for line in lines}


def test_a_missed_target_is_said_plainly() -> None:
    """The table says what was aimed for and that it was not reached."""
    assert "<= 0.3 x: **missed**" in markdown(_outcome())


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.01234, "0.0123"), (0.5, "0.500"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_numbers_have_three_significant_digits(value: float, shown: str) -> None:
    """Neither noise digits nor exponents."""
    assert shown == number(value)


def test_the_plot_of_ratios_is_well_formed_and_labelled() -> None:
    """Names with XML's own characters in them do no harm; title, operation, peer, axis and unit are there."""
    picture = ratio_plot(_outcome())

    assert picture is not None
    words = list(_texts(picture))
    assert 'Calls & "descriptors"' in words
    assert {"retrieve <1>", "1 = s6 <&> others", "ours"} <= set(words)
    assert any("logarithmic" in text for text in words)


def test_without_a_peer_there_is_no_plot_of_ratios() -> None:
    """A picture of nothing is not drawn."""
    assert ratio_plot(_outcome(peer=None)) is None


def test_the_plot_of_rates_is_well_formed_and_has_a_point_for_each_size() -> None:
    """One dot a size and contestant, and both axes say what they are."""
    curve = {10: spread([30_000.0, 31_000.0]), 20_000: spread([29_000.0, 30_000.0])}
    picture = rate_plot("Retrieves a second", {"ours": curve, "s6 <2>": curve})

    assert len(list(ElementTree.fromstring(picture).iter(f"{SVG}circle"))) == 4
    words = list(_texts(picture))
    assert {"10", "20,000", "ours", "s6 <2>"} <= set(words)
    assert any("entries" in text for text in words)
    assert any("a second" in text for text in words)


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios() -> None:
    """From 1 to 10 is as far as from 10 to 100; what lies beyond is at the end."""
    scale = LogScale(1, 100, 0, 200)

    assert [0, 100, 200, 200] == [scale(value) for value in (1, 10, 100, 1000)]
    assert [1, 2, 5, 10, 20, 50, 100] == scale.ticks()


def test_an_axis_ends_at_round_numbers_outside_of_the_values() -> None:
    """Nothing touches the frame."""
    assert (0.2, 5) == bounds([0.3, 1.0, 4.2])


def test_results_appear_in_the_readme_between_its_markers(tmp_path: Path) -> None:
    """What stands around them stays, and publishing twice does not pile up."""
    readme, results = tmp_path / "README.md", tmp_path / "results"
    readme.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n")
    publish(_outcome(), FACTS, results)

    update_readme(readme, results, ["socket", "never-run"])
    once = readme.read_text()
    update_readme(readme, results, ["socket", "never-run"])

    assert once == readme.read_text()
    assert once.startswith("Before.\n")
    assert once.endswith("After.\n")
    assert "old" not in once
    assert "(results/socket.svg)" in once
    assert "Measured on: kernel 6.1, cores 2." in once


def test_a_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    """Better an error than a README that has lost its text."""
    readme = tmp_path / "README.md"
    readme.write_text("Only words.\n")

    with pytest.raises(ValueError, match="markers"):
        update_readme(readme, tmp_path, [])
    assert readme.read_text() == "Only words.\n"
