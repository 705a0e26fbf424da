"""The manual page, made of the verbs and their parsers. `man/generate` writes it to man/fdstorefs.1."""

import argparse
import os
from collections.abc import Iterator

from fdstorefs import __version__
from fdstorefs.cli.parsing import Parser, parser_of
from fdstorefs.cli.verbs import VERBS, load

_WIDTH_THAT_NEVER_WRAPS = "10000"

_DESCRIPTION = """\
.nh
.ad l
.SH NAME
fdstorefs \\- keep open files under names
.SH SYNOPSIS
.B fdstorefs
.RB [ \\-\\-at
.IR MOUNT ]
.I COMMAND
.RI [ ARGUMENT... ]
.SH DESCRIPTION
A process stashes a descriptor under a name: a listening socket, a device, a memfd full of state.
Later another process retrieves exactly that open file: after a restart, after an upgrade, without the
privilege that opening it took. The store is a directory, an
.I instance
of fdstorefs mounted over
.IR MOUNT .
Names are paths below it. A
.I box
is a directory in it.
.PP
.I MOUNT
is what
.B \\-\\-at
says, or $FDSTOREFS_MOUNT, or $XDG_RUNTIME_DIR/fdstore if that exists, or /run/fdstore.
"""

_CONCLUSION = """\
.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
failed
.TP
.B 2
the command line makes no sense
.TP
.B 3
denied by policy or permission
.TP
.B 4
no such entry
.TP
.B 5
no instance serves there, or no enforcer runs
.PP
.B exec
and
.B run
end as the command does, with 126 if it can't be run and 127 if there is none;
.B run
with 128 + n if signal n ended it.
.SH ENVIRONMENT
.TP
.B FDSTOREFS_MOUNT
the instance to talk to; set for the commands that
.B exec
and
.B run
start
.TP
.BR LISTEN_FDS ", " LISTEN_FDNAMES ", " LISTEN_PID ", " LISTEN_PIDFDID
tell a command that
.B exec
starts which descriptors it has, as
.BR sd_listen_fds (3)
describes
.TP
.B NO_COLOR
no colours, if it is set to anything
.TP
.B FDSTOREFS_DEBUG
show where in fdstorefs a mistake of its own is, if it is set to anything
.SH FILES
.TP
.I /etc/fdstorefs/policies
the policies of the host, which the enforcer reads and watches
.TP
.I /run/fdstorefs/enforcer.sock
where the enforcer listens
.TP
.I /run/fdstorefs/host.sock
where the service for containers listens; a user's own is $XDG_RUNTIME_DIR/fdstorefs/host.sock
.TP
.I /sys/fs/bpf/fdstorefs
what the enforcer has put in force, also while none runs
.SH SEE ALSO
.BR sd_listen_fds (3),
.BR unix (7),
.BR user_namespaces (7)
"""


def manual() -> str:
    """The text of the page."""
    return "".join(
        [f'.TH FDSTOREFS 1 "" "fdstorefs {__version__}"\n', _DESCRIPTION, *_commands(), _CONCLUSION]
    )


def _commands() -> Iterator[str]:
    for group in dict.fromkeys(verb.group for verb in VERBS.values()):
        yield f".SH {group.upper()}\n"
        yield from (_command(name) for name, verb in VERBS.items() if verb.group == group)


def _command(verb: str) -> str:
    parser = parser_of(verb)
    arguments = [_argument(action) for action in parser._actions if "--help" not in action.option_strings]
    examples = roff(load(verb).EXAMPLES.rstrip())
    return "".join(
        [
            f".SS {verb}\n{roff(_synopsis(parser))}\n.PP\n{roff(parser.description or '')}\n",
            *arguments,
            f".PP\n.nf\n.RS\n{examples}\n.RE\n.fi\n",
        ]
    )


def _synopsis(parser: Parser) -> str:
    # argparse wraps at the width of the terminal, and a page must not depend on who made it.
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDTH_THAT_NEVER_WRAPS
    try:
        usage = " ".join(parser.format_usage().split())
    finally:
        _restore_columns(before)
    return usage.removeprefix("usage: ").replace(" [-h]", "")


def _restore_columns(before: str | None) -> None:
    if before is None:
        del os.environ["COLUMNS"]
    else:
        os.environ["COLUMNS"] = before


def _argument(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    takes_value = action.nargs != 0
    if action.option_strings:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in action.option_strings)
        head = f"{names} \\fI{roff(metavar)}\\fR" if takes_value else names
    else:
        head = f"\\fI{roff(metavar)}\\fR"
    return f".TP\n{head}\n{roff(action.help or '')}\n"


def roff(text: str) -> str:
    """Text as it stands, in roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in escaped.split("\n"))
