"""A run as a picture: memory, descriptors and the journal over the operations. Pure."""

from collections.abc import Callable, Sequence

from benchmarks.svg import COLOURS, Drawing
from tests.mount.keeper.soak.samples import Sample
from tests.mount.keeper.soak.soak import Result

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP, BOTTOM = 860, 72, 24, 40, 150, 58, 84
_STEPS = (1, 2, 2.5, 5, 10)

Line = tuple[str, Callable[[Sample], float]]

PANELS: Sequence[tuple[str, Sequence[Line]]] = (
    (
        "memory (PSS), MiB",
        (
            ("server, keeper and spare", lambda sample: sample.memory / 1024),
            ("server", lambda sample: sample.server_pss / 1024),
            ("keeper", lambda sample: sample.keeper_pss / 1024),
        ),
    ),
    (
        "descriptors",
        (
            ("server", lambda sample: sample.server_descriptors),
            ("keeper", lambda sample: sample.keeper_descriptors),
            ("open files stored", lambda sample: sample.files),
        ),
    ),
    ("journal, KiB", (("journal", lambda sample: sample.journal / 1024),)),
)


def plot(result: Result) -> str:
    """The picture."""
    height = TOP + len(PANELS) * (HEIGHT + GAP) + BOTTOM - GAP
    operations = result.samples[-1].operations
    title = f"{operations:,} operations with {len(result.crashes)} times kill -9"
    drawing = Drawing(WIDTH, height, title)
    drawing.text(16, 24, title, kind="title")
    top = float(TOP + 24)
    for name, lines in PANELS:
        _Panel(drawing, result, top).draw(name, lines)
        top += HEIGHT + GAP
    drawing.text(
        (LEFT + WIDTH - RIGHT) / 2,
        height - 8,
        "operations, thousands; marks above each picture: a process was killed",
        anchor="middle",
    )
    return drawing.document()


class _Panel:
    def __init__(self, drawing: Drawing, result: Result, top: float) -> None:
        self._drawing = drawing
        self._samples = result.samples
        self._crashes = result.crashes
        self._most_x = max(1, result.samples[-1].operations)
        self._top = top

    def draw(self, name: str, lines: Sequence[Line]) -> None:
        self._step = _step(max(value(sample) for _, value in lines for sample in self._samples))
        self._drawing.text(16, self._top - 14, name)
        self._drawing.legend(
            LEFT + 180, self._top - 14, [(line[0], COLOURS[place]) for place, line in enumerate(lines)]
        )
        self._draw_axes()
        for place, (_, value) in enumerate(lines):
            points = [(self._x(sample.operations), self._y(value(sample))) for sample in self._samples]
            self._drawing.path(points, COLOURS[place], dots=False)

    def _draw_axes(self) -> None:
        for tick in range(5):
            y = self._y(tick * self._step)
            self._drawing.line((LEFT, y), (WIDTH - RIGHT, y), "grid" if tick else "axis")
            self._drawing.text(LEFT - 8, y + 4, f"{tick * self._step:g}", anchor="end", kind="faint")
        for part in range(5):
            x = LEFT + part / 4 * (WIDTH - RIGHT - LEFT)
            words = f"{part / 4 * self._most_x / 1000:,.0f}"
            self._drawing.text(x, self._top + HEIGHT + 16, words, anchor="middle", kind="faint")
        for crash in self._crashes:
            x = self._x(crash)
            self._drawing.line((x, self._top - 4), (x, self._top + 2), "axis")

    def _x(self, operations: float) -> float:
        return LEFT + operations / self._most_x * (WIDTH - RIGHT - LEFT)

    def _y(self, value: float) -> float:
        return self._top + HEIGHT * (1 - value / (4 * self._step))


def _step(most: float) -> float:
    """A quarter of the scale, which is not below the most."""
    least = max(most, 1e-9) / 4
    power = 1.0
    while power * 10 <= least:
        power *= 10
    while power > least:
        power /= 10
    return next(power * step for step in _STEPS if power * step >= least)
