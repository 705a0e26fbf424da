"""The commands that read the audit log, on logs in files."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fdstorefs.audit.reader import Record
from fdstorefs.cli.main import main
from fdstorefs.client import store
from tests.unit.audit_reading.records import OTHER_RUN, RUN, allowed, event, line, start, verdict

pytestmark = pytest.mark.usefixtures("utc")

RECORDS = [
    start(),
    allowed(2),
    verdict(3, subject={"uid": 1000, "comm": "x\\\\y\x1b[2J"}, entry={"name": "a\nb"}),
    event(4, "policy-load", policy={"names": ["web"], "hash": "00", "generation": 2, "mode": "enforce"}),
    allowed(5, decided="deny", reason="no-rule", rules=[], also=[{"name": "listen/old"}], lost_before=0),
]
TEXT = [
    "2026-11-21 06:10:01  start  version: 0.1.0; pid: 5; uid: 0; targets: stderr; fsync: never",
    "2026-11-21 06:10:02  allow  retrieve  listen/web (socket)  nginx[77] uid 33  rule: web",
    (
        "2026-11-21 06:10:03  deny   retrieve  a\\nb (socket)  x\\\\y\\x1b[2J[77] uid 1000"
        "  forbidden: nobody-borrows-power"
    ),
    "2026-11-21 06:10:04  policy-load  policy: names web, hash 00, generation 2, mode enforce",
    (
        "2026-11-21 06:10:05  allow (monitor: deny)  retrieve  listen/web = listen/old (socket)  nginx[77] uid 33"
        "  no-rule"
    ),
]

Said = Callable[..., list[str]]


def write(path: Path, records: list[Record]) -> str:
    """Write a log."""
    text = b"".join(map(line, records))
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A log."""
    return write(tmp_path / "audit.jsonl", RECORDS)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command that must succeed, in silence on stderr, and returns its lines."""

    def run(*argv: str, code: int = 0, complaint: str = "") -> list[str]:
        assert code == main(argv)
        captured = capsys.readouterr()
        assert complaint == captured.err
        return captured.out.splitlines()

    return run


def test_records_are_lines(log: str, said: Said) -> None:
    """What a name holds can't draw."""
    assert TEXT == said("audit", "query", log)


KERNELS = [
    verdict(1, source="kernel", via="kernel", entry={"name": "listen/web", "kind": "socket"}),
    verdict(
        2,
        source="kernel",
        via="kernel",
        action="reach-into",
        reason="protected",
        rules=[],
        entry={"name": ""},
        target=5,
    ),
    verdict(
        3,
        source="kernel",
        via="kernel",
        action="use-bpf",
        reason="own-object",
        rules=[],
        entry={"name": ""},
        target=8,
    ),
    verdict(4, source="kernel", via="kernel", reason="unclassified", rules=[], entry={"name": ""}),
]


def test_what_the_kernel_decided(tmp_path: Path, said: Said) -> None:
    """Who decided, what of ours somebody reached for, and that a file has no name yet."""
    expected = [
        "listen/web (socket)  forbidden: nobody-borrows-power (kernel)",
        "pid 5  protected (kernel)",
        "object 8  own-object (kernel)",
        "? (socket)  unclassified (kernel)",
    ]
    lines = said("audit", "query", write(tmp_path / "kernel.jsonl", KERNELS))

    for printed, (what, _, why) in zip(lines, (each.partition("  ") for each in expected), strict=True):
        assert f"  {what}  " in printed
        assert printed.endswith(f"  {why}")


def test_who_decided_is_a_filter(tmp_path: Path, said: Said) -> None:
    """One log may hold both."""
    both = write(tmp_path / "both.jsonl", [start(), verdict(2), {**KERNELS[0], "seq": 3}])

    assert 1 == len(said("audit", "query", "--source", "kernel", both))
    assert 1 == len(said("audit", "query", "--source", "daemon", both))


def test_records_as_json_are_as_they_were(log: str, said: Said) -> None:
    """In a list."""
    assert json.loads("\n".join(said("audit", "query", "--json", log))) == RECORDS
    assert said("audit", "query", "--json", "--action", "seal", log) == ["[]"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--verdict", "deny"], [2]),
        (["--decided", "deny"], [2, 4]),
        (["--since", "2026-11-21T06:10:02", "--until", "2026-11-21T06:10:04Z"], [1, 2]),
        (["--subject", "uid:33", "--subject", "uid:1000", "--subject", "comm:nginx"], [1, 4]),
        (["--subject", "uid:root"], []),
        (["--subject", "cgroup:/system.slice", "--rule", "web"], [1]),
        (["--entry", "listen/*"], [1, 4]),
        (["--entry", "*/old", "--reason", "no-rule"], [4]),
        (["--action", "take", "--action", "retrieve", "--instance", "/run/fdstore"], [1, 2, 4]),
    ],
)
def test_filters(log: str, said: Said, filters: list[str], expected: list[int]) -> None:
    """Each takes away what does not fit."""
    assert [TEXT[at] for at in expected] == said("audit", "query", log, *filters)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (["--subject", "1000"], "argument --subject: `1000` is no subject"),
        (["--subject", "name:x"], "argument --subject: `name:x` is no subject"),
        (["--subject", "pid:x"], "argument --subject: `x` is no pid"),
        (
            ["--subject", "uid:nobody-of-that-name"],
            "argument --subject: there is no user `nobody-of-that-name`",
        ),
        (["--entry", "/x"], "argument --entry: a pattern has no leading slash (at character 1)"),
        (["--verdict", "no"], "argument --verdict: invalid choice: 'no' (choose from 'allow', 'deny')"),
        (["--since", "soon"], "argument --since: `soon` is no time; write `10m`"),
    ],
)
def test_filters_that_make_no_sense(
    log: str, filters: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a hint."""
    assert main(["audit", "query", log, *filters]) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"fdstorefs: {message}")
    assert "  hint: " in error


def test_files_are_put_in_order(tmp_path: Path, said: Said) -> None:
    """By time, whichever way they are given; compressed ones too."""
    old = write(tmp_path / "audit.jsonl.1.gz", RECORDS[:2])
    new = write(tmp_path / "audit.jsonl", RECORDS[2:])

    assert TEXT == said("audit", "query", new, old)


def test_standard_input(log: str) -> None:
    """For a log that is in the journal."""
    argv = [sys.executable, "-m", "fdstorefs", "audit", "query", "--rule", "web", "-"]
    with open(log, "rb") as file:
        done = subprocess.run(argv, stdin=file, capture_output=True, text=True, check=True)

    assert ("", TEXT[1:2]) == (done.stderr, done.stdout.splitlines())


def test_a_damaged_line_is_told_of_and_passed_over(tmp_path: Path, said: Said) -> None:
    """It never ends a query."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(RECORDS[0]) + b"\x1b[2J\n" + line(RECORDS[1]))
    complaint = f"fdstorefs: {path}:2: not JSON: \\x1b[2J\n"

    assert TEXT[:2] == said("audit", "query", str(path), complaint=complaint)


def test_many_damaged_lines(tmp_path: Path, said: Said) -> None:
    """The first five and their number."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"\n" * 7)
    first = "".join(f"fdstorefs: {path}:{number}: an empty line\n" for number in range(1, 6))

    assert [] == said(
        "audit", "query", str(path), complaint=f"{first}fdstorefs: 7 lines that are no records in all\n"
    )


def test_a_file_that_is_not_there(tmp_path: Path, said: Said) -> None:
    """Is said before anything is printed."""
    path = write(tmp_path / "a", RECORDS)
    complaint = f"fdstorefs: `{tmp_path}/b`: no such file or directory\n"

    assert [] == said("audit", "query", path, f"{tmp_path}/b", code=1, complaint=complaint)


Serve = Callable[..., None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Has an instance that writes its audit log to these targets."""

    def run(*targets: str) -> None:
        audit = [{"target": target, "written": 1, "lost": 0} for target in targets]
        status = SimpleNamespace(mount="/run/fdstore", audit=audit)
        instance = SimpleNamespace(status=lambda: status)
        monkeypatch.setattr(store, "connect", lambda at: nullcontext(instance))

    return run


def test_the_log_of_an_instance(tmp_path: Path, said: Said, serve: Serve) -> None:
    """With all that rotation left of it; the tail is that of the file which is written to."""
    path = write(tmp_path / "audit.jsonl", RECORDS[2:])
    write(tmp_path / "audit.jsonl.1", RECORDS[:2])
    serve("syslog", f"file:{path}")

    assert TEXT == said("audit", "query")
    assert TEXT[2:] == said("audit", "tail")


@pytest.mark.parametrize(
    ("targets", "what"),
    [
        ([], "has no audit log, or doesn't tell: only its owner is told"),
        (["syslog", "journald"], "logs to syslog, journald only"),
    ],
)
def test_an_instance_without_a_file(said: Said, serve: Serve, targets: list[str], what: str) -> None:
    """Cannot be read, and the hint says what can."""
    serve(*targets)
    complaint = (
        f"fdstorefs: the instance at `/run/fdstore` {what}\n"
        "  hint: name a file, or serve with `--audit file:PATH`\n"
    )

    assert [] == said("audit", "query", code=1, complaint=complaint)


def test_a_loss_stands_before_the_record_that_tells_of_it(tmp_path: Path, said: Said) -> None:
    """Where it was."""
    path = write(tmp_path / "a", [allowed(9, lost_before=7)])

    assert "2026-11-21 06:10:09  7 lost before this" == said("audit", "query", path)[0]


@pytest.mark.parametrize(("number", "first"), [("0", 5), ("2", 3), ("99", 0)])
def test_the_tail(log: str, said: Said, number: str, first: int) -> None:
    """As many as were asked for, or as there are."""
    assert TEXT[first:] == said("audit", "tail", "-n", number, log)


def test_the_tail_of_what_fits(log: str, said: Said) -> None:
    """Filters come first."""
    assert [TEXT[1]] == said("audit", "tail", "-n", "1", "--rule", "web", log)


def test_the_tail_of_a_compressed_log(tmp_path: Path, said: Said) -> None:
    """Which can't be read from its end."""
    path = write(tmp_path / "a.gz", RECORDS)

    assert TEXT[3:] == said("audit", "tail", "-n2", path)


@pytest.mark.parametrize("path", ["a.jsonl.gz", "-"])
def test_what_cannot_be_followed(path: str, said: Said) -> None:
    """Because it doesn't grow, or has no name under which another could take its place."""
    complaint = f"fdstorefs: `{path}` can't be followed\n  hint: leave `--follow` out\n"

    assert [] == said("audit", "tail", "-f", path, code=2, complaint=complaint)


def test_following(log: str, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last records, then those that come and fit, each in a line, until Ctrl-C; damage is told of."""
    steps = [b"hello\n", line(verdict(6)), line(allowed(7))]

    def wait(seconds: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        with Path(log).open("ab") as file:
            file.write(steps.pop(0))

    monkeypatch.setattr(time, "sleep", wait)
    complaint = f"fdstorefs: {log}: a line is no record: not JSON: hello\n"
    lines = said("audit", "tail", "-f", "-n1", "--json", "--rule", "web", log, code=130, complaint=complaint)

    assert [allowed(2), allowed(7)] == [json.loads(each) for each in lines]


def test_stats(log: str, said: Said) -> None:
    """For people, what was denied most comes first."""
    expected = [
        "records  5",
        "between  2026-11-21 06:10:01 to 2026-11-21 06:10:05",
        "allowed  2, 1 of these against a policy that monitors",
        "denied   1",
        "events   start 1, policy-load 1",
        "reasons  rule 1, forbidden 1, no-rule 1",
        "",
        "DENIED  ALLOWED  ACTION",
        "1       2        retrieve",
        "",
        "DENIED  ALLOWED  RULE",
        "1       0        nobody-borrows-power",
        "0       1        web",
        "",
        "DENIED  ALLOWED  SUBJECT",
        "1       0        uid 1000 /usr/sbin/nginx",
        "0       2        uid 33 /usr/sbin/nginx",
        "",
        "DENIED  ALLOWED  ENTRY",
        "1       0        a\\nb",
        "0       2        listen/web",
    ]

    assert expected == said("audit", "stats", log)


def test_stats_as_json(log: str, said: Said) -> None:
    """The same, and how many lines were no records."""
    found = json.loads("\n".join(said("audit", "stats", "--json", "--verdict", "deny", log)))

    assert (1, {"allow": 0, "deny": 1}, 0) == (found["records"], found["verdicts"], found["damaged"])


def test_more_than_fit_on_a_screen(tmp_path: Path, said: Said) -> None:
    """The rest is counted."""
    log = write(tmp_path / "a", [verdict(seq, entry={"name": f"e{seq:02d}"}) for seq in range(12)])
    lines = said("audit", "stats", log)

    assert ["1       0        e09", "and 2 more"] == lines[-2:]


def test_a_whole_log(log: str, said: Said) -> None:
    """Exit code 0."""
    assert ["5 records of 1 run: every record is there"] == said("audit", "verify", log)


def test_what_is_wrong_with_a_log(tmp_path: Path, said: Said) -> None:
    """Exit code 1, and a line for each thing."""
    records = [
        verdict(3),
        verdict(5, boottime=0),
        verdict(5),
        verdict(9, lost_before=1),
        verdict(4, run=OTHER_RUN, ts="2026-11-22T00:00:00.000000000Z"),
    ]
    path = tmp_path / "a"
    path.write_bytes(b"hello\n" + b"".join(map(line, records)))
    run = f"/run/fdstore, run {RUN} of 2026-11-21 06:10:03"
    expected = [
        f"{run}: begins with number 3; what was before is in none of these files",
        f"{run}: 3 missing without a word: 4, 6 to 7",
        f"{run}: 1 lost, as the log itself says",
        f"{run}: 1 there twice or out of order: 5",
        f"{run}: the clock goes back at 5",
        f"/run/fdstore, run {OTHER_RUN} of 2026-11-22 00:00:00: 3 missing without a word: 1 to 3",
        "1 line that is no record",
        "5 records of 2 runs: NOT every record is there",
    ]

    assert expected == said(
        "audit", "verify", str(path), code=1, complaint=f"fdstorefs: {path}:1: not JSON: hello\n"
    )


def test_verification_as_json(tmp_path: Path, said: Said) -> None:
    """One object for each run."""
    log = write(tmp_path / "a", [start(), verdict(3)])
    found = json.loads("\n".join(said("audit", "verify", "--json", log, code=1)))

    assert (False, 0, [[[2, 2]]]) == (
        found["ok"],
        found["damaged"],
        [run["missing"] for run in found["runs"]],
    )


POLICY = """\
version: 1
name: new
rules:
  - id: let
    effect: allow
    actions: [retrieve]
    subject: {uid: 1000}
"""


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy that decides otherwise."""
    path = tmp_path / "new.yaml"
    path.write_text(POLICY)
    return str(path)


def test_replay(log: str, policy: str, said: Said) -> None:
    """What would have been decided otherwise, and by what."""
    expected = [
        (
            "WHEN                 WAS                    WOULD BE  ACTION    ENTRY       SUBJECT"
            "                   BY"
        ),
        (
            "2026-11-21 06:10:02  allow                  deny      retrieve  listen/web  nginx[77] uid 33"
            "          no rule allows it"
        ),
        (
            "2026-11-21 06:10:03  deny                   allow     retrieve  a\\nb        x\\\\y\\x1b[2J[77] uid 1000"
            "  let"
        ),
        (
            "2026-11-21 06:10:05  allow (monitor: deny)  deny      retrieve  listen/web  nginx[77] uid 33"
            "          no rule allows it"
        ),
        "",
        "0 as before, 3 otherwise",
        "2 not decided again: no verdict but an event",
    ]

    assert expected == said("audit", "replay", log, "--policy", policy)


def test_replay_as_json(log: str, policy: str, said: Said) -> None:
    """With the record."""
    found: dict[str, Any] = json.loads("\n".join(said("audit", "replay", "--json", "--policy", policy, log)))
    was = [
        (each["was"], each["would_be"], each["rules"], each["record"]["seq"]) for each in found["different"]
    ]

    assert [("allow", "deny", [], 2), ("deny", "allow", ["let"], 3), ("allow", "deny", [], 5)] == was
    assert (0, {"no verdict but an event": 2}) == (found["same"], found["not_replayed"])


def test_replay_of_nothing_that_differs(log: str, policy: str, said: Said) -> None:
    """No table stands alone."""
    expected = ["0 as before, 0 otherwise", "1 not decided again: no verdict but an event"]

    assert expected == said("audit", "replay", log, "--policy", policy, "--until", "2026-11-21T06:10:02")


def test_replay_with_errors_in_the_policy(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decides nothing."""
    (tmp_path / "bad.yaml").write_text("version: 9\nname: x\nrules: []\n")

    assert main(["audit", "replay", log, "--policy", str(tmp_path / "bad.yaml")]) == 1
    captured = capsys.readouterr()
    assert "" == captured.out
    assert "bad.yaml:1:10: error:" in captured.err
