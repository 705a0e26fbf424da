"""What an instance was told when it started, a keeper that replaces another can tell the next server."""

import json

import pytest

from fdstorefs.audit.options import AuditOptions, Fsync
from fdstorefs.audit.target import Target
from fdstorefs.server.options import ServeOptions, UnitOptions, from_json, to_json

OPTIONS = [
    ServeOptions("/run/fdstore"),
    ServeOptions(
        "/mnt/\udcff",
        mode=0o700,
        entries=5,
        entries_per_uid=2,
        entries_per_box=3,
        policies=("/a", "/b"),
        enforcement="kernel",
        enforcer_socket="/s",
        audit=AuditOptions((Target("file", "/log"), Target("stderr")), Fsync(None)),
        systemd_store="100",
        unit=UnitOptions("/run/systemd/notify", 100, 5000),
    ),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_they_are_the_same(options: ServeOptions) -> None:
    """After a way through JSON."""
    assert options == from_json(json.loads(json.dumps(to_json(options))))


def test_descriptors_are_not_among_them() -> None:
    """They would be another's there."""
    told = to_json(ServeOptions("/run/fdstore", ready_fd=3, ends_with=4))

    assert (None, None) == (told["ready_fd"], told["ends_with"])
