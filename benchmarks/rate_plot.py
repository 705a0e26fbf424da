"""Rates against the number of entries as a picture: medians joined, hairs from quartile to quartile. Pure."""

from collections.abc import Mapping

from benchmarks.scale import LogScale, bounds
from benchmarks.spread import Spread
from benchmarks.svg import COLOURS, Drawing
from benchmarks.table import number

WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 30, 70, 56

Curve = Mapping[int, Spread]
"""For each number of entries, the spread of the rate."""


def rate_plot(title: str, curves: Mapping[str, Curve]) -> str:
    """The picture; curves are named for their contestants."""
    drawing = Drawing(WIDTH, HEIGHT, title)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(curves)}
    drawing.text(16, 24, title, kind="title")
    drawing.legend(LEFT, 50, list(colours.items()))
    across, up = _scales(curves)
    _draw_axes(drawing, across, up, sorted({size for curve in curves.values() for size in curve}))
    for name, curve in curves.items():
        _draw_curve(drawing, across, up, curve, colours[name])
    return drawing.document()


def _scales(curves: Mapping[str, Curve]) -> tuple[LogScale, LogScale]:
    sizes = [size for curve in curves.values() for size in curve]
    rates = [
        rate for curve in curves.values() for found in curve.values() for rate in (found.lower, found.upper)
    ]
    across = LogScale(min(sizes) / 1.3, max(sizes) * 1.3, LEFT, WIDTH - RIGHT)
    return across, LogScale(*bounds(rates), HEIGHT - BOTTOM, TOP)


def _draw_axes(drawing: Drawing, across: LogScale, up: LogScale, sizes: list[int]) -> None:
    for rate in up.ticks():
        drawing.line((across.start, up(rate)), (across.end, up(rate)), "grid")
        drawing.text(across.start - 8, up(rate) + 4, f"{rate:,.0f}", anchor="end", kind="faint")
    for size in sizes:
        drawing.line((across(size), up.start), (across(size), up.end), "grid")
        drawing.text(across(size), up.start + 18, f"{size:,}", anchor="middle", kind="faint")
    drawing.line((across.start, up.start), (across.end, up.start), "axis")
    drawing.line((across.start, up.start), (across.start, up.end), "axis")
    drawing.text(
        (across.start + across.end) / 2, HEIGHT - 12, "entries in the store (logarithmic)", anchor="middle"
    )
    drawing.sideways(20, (up.start + up.end) / 2, "retrieved a second (logarithmic)")


def _draw_curve(drawing: Drawing, across: LogScale, up: LogScale, curve: Curve, colour: str) -> None:
    points = [(across(size), up(found.median)) for size, found in sorted(curve.items())]
    drawing.path(points, colour)
    for size, found in curve.items():
        x = across(size)
        drawing.stroke((x, up(found.lower)), (x, up(found.upper)), colour, 1.5)
    last = max(curve)
    drawing.text(
        across(last), up(curve[last].median) - 9, number(curve[last].median), anchor="end", kind="faint"
    )
