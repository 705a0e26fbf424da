"""What the two doors of an instance, the mount and the socket, share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.core.store import Store
from fdstorefs.errors import StoreError
from fdstorefs.server.budget import budget
from fdstorefs.server.intake import Intake
from fdstorefs.server.loop import Loop
from fdstorefs.server.record import Records
from fdstorefs.server.shares import Counts, Shares
from fdstorefs.server.subjects import Subjects


@dataclass(slots=True)
class Context:
    """One instance's parts. `status` makes the reply of the interface's Status. `upgrade` begins one, and calls back if
    that comes to nothing, or raises StoreError; None where there is no keeper. `upgraded` is what came of the latest.
    """

    loop: Loop
    store: Store
    intake: Intake
    subjects: Subjects
    records: Records
    status: Callable[[], dict[str, Any]]
    upgrade: Callable[[Callable[[StoreError], None]], None] | None = None
    upgraded: dict[str, Any] | None = None
    restores: Counts = field(default_factory=Counts)
    """How many restores each user has begun and not done."""
    dumps: Counts = field(default_factory=Counts)
    """How many dumps each user has under way."""
    lists: Counts = field(default_factory=Counts)
    """How many lists each user has under way that are one reply."""
    staged: Shares = field(init=False)
    """Open files that have come with those."""

    def __post_init__(self) -> None:
        self.staged = Shares(*budget(self.intake.limit).staged)
