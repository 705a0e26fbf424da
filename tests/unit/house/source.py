"""The package's source files as syntax trees, and what can be asked of one."""

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGE = REPOSITORY / "fdstorefs"


@dataclass(frozen=True)
class Source:
    """One file: its path below the package, and its syntax tree."""

    name: str
    tree: ast.Module

    def strings(self) -> Iterator[str]:
        """Every string in the code, with the constant parts of f-strings, without docstrings."""
        prose = {id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield node.value

    def imports(self) -> Iterator[str]:
        """Every module that is imported anywhere in it, by statement or by name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module
            elif isinstance(node, ast.Call) and _last_name(node.func) in ("import_module", "__import__"):
                yield from (
                    a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                )

    def attributes(self) -> Iterator[str]:
        """Every `module.name` that it uses, and every `from module import name`, as `module.name`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                yield f"{node.value.id}.{node.attr}"
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parse(name: str, text: str) -> Source:
    """A source from its text."""
    return Source(name, ast.parse(text))


def sources() -> list[Source]:
    """Every file of the package, `policy` and `bpf` included."""
    return [parse(str(path.relative_to(PACKAGE)), path.read_text()) for path in _files()]


def _files() -> Iterator[Path]:
    for directory, _, names in os.walk(PACKAGE, followlinks=True):
        yield from (Path(directory, name) for name in sorted(names) if name.endswith(".py"))


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
