"""`fdstorefs completion SHELL`: the completion script for a shell."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

SHELLS = {"bash": "fdstorefs.bash", "zsh": "_fdstorefs", "fish": "fdstorefs.fish"}

EXAMPLES = """\
  source <(fdstorefs completion bash)                           in ~/.bashrc
  fdstorefs completion zsh > ~/.zfunc/_fdstorefs                a directory in $fpath
  fdstorefs completion fish > ~/.config/fish/completions/fdstorefs.fish
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def run(options: "argparse.Namespace") -> int:
    """Print it."""
    print(script(options.shell), end="")
    return 0


def script(shell: str) -> str:
    """The text of the script."""
    package = Path(__file__).resolve().parents[2]
    return (package / "completions" / SHELLS[shell]).read_text(encoding="utf-8")
