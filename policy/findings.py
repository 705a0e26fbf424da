"""Findings: the diagnostics of one run, collected while reading goes on."""

from fdstorefs.policy.diagnostic import Diagnostic, Related, Severity
from fdstorefs.policy.span import Span

MAX_FOUND = 1000
"""Errors after which reading stops, and warnings after which no more are kept."""


class Enough(Exception):
    """There are so many errors that no more are looked for."""


class Wrong(Exception):
    """One value can't be used; whoever reads the values beside it records why and goes on."""

    def __init__(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(Severity.ERROR, code, message, span, hint)


class Findings:
    """What has been found so far. `errors` counts the errors among `diagnostics`."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.errors = 0

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        related: tuple[Related, ...] = (),
    ) -> None:
        """Record an error; raises Enough with the last one that is kept."""
        self.add(Diagnostic(Severity.ERROR, code, message, span, hint, related))

    def add(self, error: Diagnostic) -> None:
        """The same for one that is made already."""
        self.diagnostics.append(error)
        self.errors += 1
        if self.errors >= MAX_FOUND:
            raise Enough

    def warning(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        """Record a warning."""
        if len(self.diagnostics) - self.errors < MAX_FOUND:
            self.diagnostics.append(Diagnostic(Severity.WARNING, code, message, span, hint))

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Each once, by where they stand in their texts; the texts in the order in which they were read."""
        order: dict[str, int] = {}
        for diagnostic in self.diagnostics:
            if diagnostic.span is not None:
                order.setdefault(diagnostic.span.source.name, len(order))
        return tuple(sorted(dict.fromkeys(self.diagnostics), key=lambda found: _position(found.span, order)))


def _position(span: Span | None, order: dict[str, int]) -> tuple[int, int, int]:
    return (len(order), 0, 0) if span is None else (order[span.source.name], span.line, span.column)
