"""C source to programs in the kernel: the one file that uses bcc.

bcc compiles and creates the maps of a source; we load and attach. It reads its environment while it compiles, prints
on the C level, and attaches by itself whatever is called `lsm__...`: each of that is seen to here.
"""

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fdstorefs.bpf.btf import Btf
from fdstorefs.bpf.captured_output import captured_stderr
from fdstorefs.bpf.header_tree import header_tree
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.kernel_types import WANTED, Field
from fdstorefs.bpf.source import flattened

SCHED_CLS = 3
LSM = 29

# bcc's helpers are full of what clang would warn of
_FLAGS = ("-Wno-everything", "-Werror=implicit-function-declaration", "-Werror=int-conversion")


class Compiled:
    """A compiled source with its maps and the programs loaded from it. Ends with `close`; so do its descriptors."""

    def __init__(self, bpf: Any, path: Path) -> None:
        self._bpf = bpf
        self._path = path

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of all programs in the source."""
        library, module = _bcc().lib, self._bpf.module
        count = library.bpf_num_functions(module)
        return tuple(library.bpf_function_name(module, number).decode() for number in range(count))

    def table(self, name: str) -> int:
        """The descriptor of a map, by its name in the source."""
        fd: int = _bcc().lib.bpf_table_fd(self._bpf.module, name.encode())
        if fd < 0:
            raise ValueError(f"{self._path} has no map `{name}`")
        return fd

    def load(self, function: str, kind: int) -> int:
        """Have the kernel verify a program and load it; the descriptor of it, which stays ours."""
        with captured_stderr() as output:
            loaded = _attempt(lambda: self._bpf.load_func(function.encode(), kind))
        if isinstance(loaded, Exception):
            raise _refused(self._path, function, output.text) from loaded
        fd: int = loaded.fd
        return fd

    def close(self) -> None:
        """Free the compiler's memory and close the descriptors of maps and programs."""
        atexit.unregister(self._bpf.cleanup)
        self._bpf.cleanup()

    def __enter__(self) -> "Compiled":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def compile_file(
    path: Path,
    defines: Sequence[str] = (),
    *,
    wanted: Mapping[str, tuple[Field, ...]] = WANTED,
) -> Compiled:
    """Compile a C file and make its maps; `defines` are `NAME` or `NAME=value`.

    Raises KernelError: `no-bcc`, `no-btf`, `btf-field`, or `compile` with the compiler's output as its log.
    """
    text = flattened(path)
    flags = [*_FLAGS, *(f"-D{define}" for define in defines)]
    make = _compiler()
    with header_tree(Btf.read(), wanted) as headers, _environment(headers), captured_stderr() as output:
        bpf = _attempt(lambda: make(text=text.encode(), cflags=flags))
    if isinstance(bpf, Exception):
        raise _not_compiled(path, output.text) from bpf
    return Compiled(bpf, path)


def _attempt(call: Callable[[], Any]) -> Any:
    """What it returns, or the exception that bcc raises: it knows no more special ones than Exception."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001
        return error


def compiler_version() -> str:
    """bcc's version. KernelError `no-bcc` if it is missing."""
    return str(_bcc().__version__)


def _compiler() -> Callable[..., Any]:
    """bcc's class, but one that attaches nothing by itself."""
    return type("Compiler", (_bcc().BPF,), {"_trace_autoload": lambda _: None})


def _bcc() -> Any:
    try:
        import bcc
    except (ImportError, OSError) as error:
        why = f"it can't be imported: {str(error).lower()}"
        hint = "install it: `apt install python3-bpfcc`; in a virtual environment, give that the system's packages"
        raise KernelError("no-bcc", "the BPF compiler is missing", where="bcc", why=why, hint=hint) from error
    return bcc


@contextlib.contextmanager
def _environment(headers: Path) -> Iterator[None]:
    name = "BCC_KERNEL_SOURCE"
    before = os.environ.get(name)
    os.environ[name] = str(headers)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


_REPORT = "this is a bug of fdstorefs or a kernel that it doesn't know: report it with the log"


def _not_compiled(path: Path, log: str) -> KernelError:
    errors = [line for line in log.split("\n") if "error" in line or "could not" in line]
    why = errors[0].strip() if errors else "the compiler gave up"
    return KernelError("compile", "can't compile", where=str(path), why=why, hint=_REPORT, log=log)


def _refused(path: Path, function: str, log: str) -> KernelError:
    where, what = f"{path}, {function}", "the kernel does not take a program"
    if "processed" in log and "insns" in log:
        return KernelError(
            "verifier", what, where=where, why="its verifier refuses it", hint=_REPORT, log=log
        )
    if "not permitted" in log:
        why = "loading it is not permitted"
        hint = "run as root of the host; where root is refused too, this kernel is set up to allow no such programs"
        return KernelError("load", what, where=where, why=why, hint=hint, log=log)
    first = next((line.strip() for line in log.split("\n") if line.strip()), "it gives no reason")
    return KernelError("load", what, where=where, why=first, hint=_REPORT, log=log)
