"""C source is compiled with our headers alone, and what goes wrong is told apart and never printed."""

import os
from pathlib import Path

import pytest

from fdstorefs.bpf import loader
from fdstorefs.bpf.captured_output import captured_stderr
from fdstorefs.bpf.kept_log import keep_log
from fdstorefs.bpf.kernel_error import KernelError

pytest.importorskip("bcc", reason="the package python3-bpfcc is missing")

GOOD = """
#ifdef SECOND
int second(struct __sk_buff *packet) { return 2; }
#endif
int first(struct __sk_buff *packet) { return sizeof(struct cred) ? 1 : 0; }
"""


def source(directory: Path, text: str) -> Path:
    """A file with this text."""
    path = directory / "programs.c"
    path.write_text(text)
    return path


def failure(directory: Path, text: str) -> KernelError:
    """How compiling it fails."""
    with pytest.raises(KernelError) as raised:
        loader.compile_file(source(directory, text))
    return raised.value


@pytest.mark.parametrize(("defines", "functions"), [([], {"first"}), (["SECOND"], {"first", "second"})])
def test_functions(tmp_path: Path, defines: list[str], functions: set[str]) -> None:
    """What is defined decides which programs there are."""
    with loader.compile_file(source(tmp_path, GOOD), defines) as compiled:
        assert functions == set(compiled.functions)


def test_no_such_map(tmp_path: Path) -> None:
    """Asking for a map that the source lacks is the caller's error."""
    with (
        loader.compile_file(source(tmp_path, GOOD)) as compiled,
        pytest.raises(ValueError, match="no map `rows`"),
    ):
        compiled.table("rows")


def test_what_is_wrong(tmp_path: Path) -> None:
    """The message has the compiler's first error with file and line, the log has all of it."""
    error = failure(tmp_path, "\n\nint first(void) { return nothing; }\n")

    assert ("compile", True, True) == (
        error.code,
        error.why.startswith(f"{tmp_path}/programs.c:3:26: error:"),
        "int first(void) { return nothing; }" in error.log,
    )


def test_functions_must_be_declared(tmp_path: Path) -> None:
    """A function that nobody has declared is found by the compiler, not when the program is loaded."""
    assert "implicit declaration" in failure(tmp_path, "int first(void) { return nothing(); }\n").why


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The compiler writes to the standard error itself; we don't let it."""
    failure(tmp_path, "nonsense\n")
    loader.compile_file(source(tmp_path, GOOD)).close()

    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("before", ["/usr/src/linux", None])
def test_the_environment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    """A setting that we need for a moment has its former value afterwards."""
    monkeypatch.delenv("BCC_KERNEL_SOURCE", raising=False)
    if before:
        monkeypatch.setenv("BCC_KERNEL_SOURCE", before)
    loader.compile_file(source(tmp_path, GOOD)).close()

    assert before == os.environ.get("BCC_KERNEL_SOURCE")


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without it is told which package to install."""
    monkeypatch.setitem(__import__("sys").modules, "bcc", None)
    with pytest.raises(KernelError) as raised:
        loader.compiler_version()

    assert ("no-bcc", True) == (raised.value.code, "apt install python3-bpfcc" in raised.value.hint)


def test_output_is_caught_and_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    """Descriptor 2 is caught while it is asked for, and no longer, also if something fails meanwhile."""
    with pytest.raises(ZeroDivisionError), captured_stderr() as output:
        os.write(2, b"inside")
        raise ZeroDivisionError
    os.write(2, b"outside")

    assert ("inside", "outside") == (output.text, capfd.readouterr().err)


def test_the_log_is_kept(tmp_path: Path) -> None:
    """The hint says where, and nobody else may read it."""
    error = KernelError(
        "compile", "can't compile", where="a.c", why="because", hint="report it", log="long story"
    )
    keep_log(error, tmp_path)
    kept = tmp_path / "kernel-programs.log"

    assert (f"report it: `{kept}`", 0o600, "can't compile (`a.c`): because\n\nlong story") == (
        error.hint,
        kept.stat().st_mode & 0o777,
        kept.read_text(),
    )


def test_a_log_that_cant_be_kept(tmp_path: Path) -> None:
    """The error is told without."""
    error = KernelError(
        "compile", "can't compile", where="a.c", why="because", hint="report it", log="long story"
    )
    keep_log(error, tmp_path / "nowhere" / "at-all")

    assert "report it" == error.hint
