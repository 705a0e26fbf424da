"""Aligned columns."""

from collections.abc import Iterable, Sequence


def align(rows: Iterable[Sequence[str]], gap: str = "  ") -> list[str]:
    """Lines in which every column but the last is as wide as its widest cell."""
    table = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [gap.join(map(_pad, row, widths)).rstrip() for row in table]


def _pad(cell: str, width: int) -> str:
    return cell.ljust(width)


def fields(pairs: Iterable[tuple[str, str | None]]) -> list[str]:
    """One line per field, its name and its value; fields without a value are left out."""
    return align([(name, value) for name, value in pairs if value is not None])
