"""What is built from this tree installs and runs in a clean virtual environment, far from the tree."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdstorefs
from tests.unit.house.source import PACKAGE, REPOSITORY

pytestmark = pytest.mark.slow

SYSTEM_PYTHON = "/usr/bin/python3"


def run(*argv: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        argv, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=110, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel and an sdist, each built from the tree without a network."""
    out = tmp_path_factory.mktemp("dist")
    run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        out,
        "--sdist",
        "--wheel",
        REPOSITORY,
        cwd=out,
    )
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def package_files() -> set[str]:
    """Every file of the package in the tree, as an archive names it."""
    walk = os.walk(PACKAGE, followlinks=True)
    paths = (Path(directory, name) for directory, _, names in walk for name in names)
    return {str(path.relative_to(REPOSITORY)) for path in paths if path.parent.name != "__pycache__"}


def our_libraries() -> Iterator[str]:
    """Where this interpreter has what fdstorefs depends on."""
    yield sysconfig.get_path("purelib")
    yield from (path for path in sys.path if path.endswith("dist-packages"))


def install(archive: Path, where: Path) -> Path:
    """Install an archive in a new virtual environment that borrows our libraries; return its programs."""
    run(SYSTEM_PYTHON, "-m", "venv", "--without-pip", where / "venv", cwd=where)
    python = where / "venv" / "bin" / "python"
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed", "--no-input"]
    build_tools = os.pathsep.join(our_libraries())
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        *options,
        archive,
        cwd=where,
        PYTHONPATH=build_tools,
    )
    lend_libraries(python, where)
    return python.parent


def lend_libraries(python: Path, where: Path) -> None:
    """Let an interpreter see our libraries after its own."""
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=where).strip()
    Path(site, "lent.pth").write_text("\n".join(our_libraries()))


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def programs(
    request: pytest.FixtureRequest, archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The programs of a clean environment with the archive installed."""
    return install(archives[request.param], tmp_path_factory.mktemp(request.param))


def test_the_command_runs(programs: Path, tmp_path: Path) -> None:
    """`fdstorefs --version` prints the version, in any directory."""
    assert fdstorefs.__version__ in run(programs / "fdstorefs", "--version", cwd=tmp_path)


def test_policy_and_bpf_are_part_of_the_package(programs: Path, tmp_path: Path) -> None:
    """What symbolic links stand for in the tree is installed as real packages."""
    program = (
        "import fdstorefs.policy, fdstorefs.bpf; print(fdstorefs.policy.__file__, fdstorefs.bpf.__file__)"
    )

    found = run(programs / "python", "-c", program, cwd=tmp_path)

    assert all(str(programs.parent) in path for path in found.split())


def test_the_interface_description_is_installed(programs: Path, tmp_path: Path) -> None:
    """Files that are no Python come along."""
    program = "from fdstorefs.interface import description; print(description())"

    assert "interface io.fdstorefs.Store" in run(programs / "python", "-c", program, cwd=tmp_path)


def test_the_manual_and_completions_are_installed(programs: Path) -> None:
    """They are where man(1) and the shells look, below the environment's prefix."""
    share = programs.parent / "share"
    installed = {str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()}

    assert {
        "bash-completion/completions/fdstorefs",
        "fish/vendor_completions.d/fdstorefs.fish",
        "man/man1/fdstorefs.1",
        "zsh/site-functions/_fdstorefs",
    } == installed


def test_the_wheel_has_every_file_of_the_package(archives: dict[str, Path]) -> None:
    """Nothing of the package is forgotten, py.typed included."""
    with zipfile.ZipFile(archives["wheel"]) as wheel:
        assert set() == package_files() - set(wheel.namelist())


def test_the_sdist_has_every_file_of_the_package_and_its_tests(archives: dict[str, Path]) -> None:
    """Whoever packages fdstorefs from the sdist can run the tests."""
    with tarfile.open(archives["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}

    assert set() == package_files() - names
    assert set() == {"pyproject.toml", "LICENSE", "Makefile", "tools/setup", "tests/conftest.py"} - names
