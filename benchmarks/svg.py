"""The few shapes that the plots are drawn with, and colours that read on white and on black. Pure."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

COLOURS = ("#3b82c4", "#d98324", "#2e9e6b", "#c05a9c", "#8c7ae6", "#9a8c2c", "#7f8c8d")
"""For contestants, in their order; all are mid-tones."""

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-size: 15px; font-weight: 600 }
.faint { fill: #666 }
.grid { stroke: #8884; stroke-width: 1 }
.axis { stroke: #888; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .faint { fill: #aaa } }
"""


@dataclass(slots=True)
class Drawing:
    """An SVG picture in the making; lengths are pixels, y grows downwards."""

    width: float
    height: float
    title: str
    _shapes: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> None:
        """Words at a point; `anchor` says which end of them is there."""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor={quoteattr(anchor)} class={quoteattr(kind)}>'
            f"{escape(words)}</text>"
        )

    def sideways(self, x: float, y: float, words: str) -> None:
        """Words that run upwards, centred."""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" transform="rotate(-90 {x:.1f} {y:.1f})">'
            f"{escape(words)}</text>"
        )

    def line(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """A line of the grid or an axis."""
        self._shapes.append(f"<line {_ends(start, end)} class={quoteattr(kind)}/>")

    def stroke(self, start: tuple[float, float], end: tuple[float, float], colour: str, width: float) -> None:
        """A line that is data."""
        self._shapes.append(f'<line {_ends(start, end)} stroke={quoteattr(colour)} stroke-width="{width}"/>')

    def box(self, x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> None:
        """A filled rectangle, at least one pixel wide."""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="2" '
            f'fill={quoteattr(colour)} fill-opacity="{opacity}"/>'
        )

    def path(self, points: list[tuple[float, float]], colour: str, *, dots: bool = True) -> None:
        """A line through points, with a dot on each where they are few."""
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._shapes.append(
            f'<polyline points="{corners}" fill="none" stroke={quoteattr(colour)} stroke-width="2"/>'
        )
        for x, y in points if dots else ():
            self._shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill={quoteattr(colour)}/>')

    def legend(self, x: float, y: float, entries: list[tuple[str, str]]) -> None:
        """Names with their colours in one line, each as wide as its words need."""
        for name, colour in entries:
            self.box(x, y - 9, 12, 10, colour)
            self.text(x + 17, y, name)
            x += 34 + 6.6 * len(name)

    def document(self) -> str:
        """The picture as a file."""
        shapes = "\n".join(self._shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n{shapes}\n</svg>\n"
        )


def _ends(start: tuple[float, float], end: tuple[float, float]) -> str:
    return f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
