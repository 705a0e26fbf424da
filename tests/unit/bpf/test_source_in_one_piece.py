"""A C file becomes one text with our own headers in it, for a compiler that rewrites the main file only."""

from pathlib import Path

from fdstorefs.bpf.source import flattened


def test_each_header_once(tmp_path: Path) -> None:
    """A header comes in where it is first named, and lines keep their file and number."""
    (tmp_path / "below").mkdir()
    (tmp_path / "main.c").write_text('#include "below/a.h"\n#include "below/b.h"\nint main;\n')
    (tmp_path / "below" / "a.h").write_text('#include "b.h"\nint a;\n')
    (tmp_path / "below" / "b.h").write_text("int b;\n")

    lines = flattened(tmp_path / "main.c").split("\n")
    code = [line for line in lines if line and not line.startswith("#line")]
    numbered = [lines[lines.index(name) - 1] for name in ("int b;", "int a;", "int main;")]

    assert ["int b;", "int a;", "int main;"] == code
    assert [
        f'#line 1 "{tmp_path}/below/b.h"',
        f'#line 2 "{tmp_path}/below/a.h"',
        f'#line 3 "{tmp_path}/main.c"',
    ] == numbered


def test_headers_of_others(tmp_path: Path) -> None:
    """An include in angle brackets is the compiler's affair."""
    (tmp_path / "main.c").write_text("#include <linux/types.h>\n")

    assert "#include <linux/types.h>\n" in flattened(tmp_path / "main.c")
