"""What `import fdstorefs` offers, and what it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fdstorefs
from fdstorefs import errors

EXPORTS: list[str] = vars(fdstorefs)["__all__"]  # the stub leaves it out
STUB = Path(fdstorefs.__file__).with_suffix(".pyi")
HEAVY = ("argparse", "asyncio", "dataclasses", "inspect", "pyfuse3", "pyroute2", "subprocess", "trio")


def names_in_the_stub() -> set[str]:
    """What a type checker believes the package to export."""
    tree = ast.parse(STUB.read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    declared = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return imported | declared


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_type_checkers_see_what_there_is() -> None:
    """The stub and the lazy exports name the same things."""
    assert names_in_the_stub() == set(EXPORTS)


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_can_be_had(name: str) -> None:
    """Each is loaded when it is asked for."""
    assert getattr(fdstorefs, name) is not None
    assert name in dir(fdstorefs)


def test_every_error_is_exported() -> None:
    """So that `except fdstorefs.Denied` works."""
    assert {kind.__name__ for kind in errors.BY_IDENTIFIER.values()} <= set(EXPORTS)


def test_there_is_nothing_else() -> None:
    """A name that isn't there is an AttributeError, as everywhere."""
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        fdstorefs.conect  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_loads_nothing_of_it() -> None:
    """The server and half the commands need no client."""
    assert {"fdstorefs"} == {name for name in modules_after("import fdstorefs") if "fdstorefs" in name}


def test_the_client_loads_nothing_heavy() -> None:
    """A command that retrieves one descriptor starts quickly."""
    loaded = modules_after("import fdstorefs; fdstorefs.connect") - modules_after("pass")

    assert set() == loaded & set(HEAVY)
