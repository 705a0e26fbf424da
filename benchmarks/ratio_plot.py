"""Ratios to the peer as a picture. Pure.

A bar reaches from quartile to quartile, a mark is at the median, a hair from the least to the most.
"""

from collections.abc import Iterator

from benchmarks.outcome import Outcome, Row
from benchmarks.scale import LogScale, bounds
from benchmarks.spread import Spread
from benchmarks.svg import COLOURS, Drawing
from benchmarks.table import number

WIDTH, LEFT, RIGHT = 860, 250, 24
TOP, BOTTOM, STEP, GAP = 64, 48, 16, 14

Bars = list[tuple[str, Spread]]


def ratio_plot(outcome: Outcome) -> str | None:
    """The picture, or None if no row of the outcome has a peer."""
    groups = [(row, _bars(row)) for row in outcome.rows if row.peer is not None]
    if not groups:
        return None
    colours = _colours(groups)
    height = TOP + BOTTOM + sum(STEP * len(bars) + GAP for _, bars in groups)
    drawing = Drawing(WIDTH, height, outcome.title)
    drawing.text(16, 24, outcome.title, kind="title")
    drawing.legend(16, 46, list(colours.items()))
    scale = LogScale(*bounds(_extremes(groups)), LEFT, WIDTH - RIGHT)
    _draw_axis(drawing, scale, height - BOTTOM)
    y: float = TOP
    for row, bars in groups:
        _draw_group(drawing, scale, y, row, bars, colours)
        y += STEP * len(bars) + GAP
    return drawing.document()


def _bars(row: Row) -> Bars:
    found = ((name, row.ratios(name)) for name in row.series if name != row.peer)
    return [(name, ratio) for name, ratio in found if ratio is not None]


def _colours(groups: list[tuple[Row, Bars]]) -> dict[str, str]:
    names = dict.fromkeys(name for _, bars in groups for name, _ in bars)
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}


def _extremes(groups: list[tuple[Row, Bars]]) -> Iterator[float]:
    yield 1.0
    for _, bars in groups:
        for _, ratio in bars:
            yield from (ratio.least, ratio.most)


def _draw_axis(drawing: Drawing, scale: LogScale, bottom: float) -> None:
    for tick in scale.ticks():
        x = scale(tick)
        drawing.line((x, TOP - 6), (x, bottom), "axis" if tick == 1 else "grid")
        drawing.text(x, bottom + 16, f"{tick:g}", anchor="middle", kind="faint")
    middle = (scale.start + scale.end) / 2
    drawing.text(
        middle, bottom + 34, "times what the peer needs (logarithmic; less is better)", anchor="middle"
    )


def _draw_group(
    drawing: Drawing, scale: LogScale, y: float, row: Row, bars: Bars, colours: dict[str, str]
) -> None:
    centre = y + STEP * len(bars) / 2
    drawing.text(LEFT - 12, centre - 1, row.operation, anchor="end")
    drawing.text(LEFT - 12, centre + 12, f"1 = {row.peer}", anchor="end", kind="faint")
    for name, ratio in bars:
        _draw_bar(drawing, scale, y, ratio, colours[name])
        y += STEP


def _draw_bar(drawing: Drawing, scale: LogScale, y: float, ratio: Spread, colour: str) -> None:
    middle = y + STEP / 2
    drawing.stroke((scale(ratio.least), middle), (scale(ratio.most), middle), colour, 1.5)
    drawing.box(scale(ratio.lower), y + 3, scale(ratio.upper) - scale(ratio.lower), STEP - 6, colour, 0.45)
    drawing.box(scale(ratio.median) - 1.5, y + 1, 3, STEP - 2, colour)
    words = number(ratio.median)
    if scale(ratio.most) + 6 + 7 * len(words) < WIDTH:
        drawing.text(scale(ratio.most) + 6, middle + 4, words, kind="faint")
