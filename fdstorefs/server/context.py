"""What the two doors of an instance, the mount and the socket, share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fdstorefs.core.store import Store
from fdstorefs.server.intake import Intake
from fdstorefs.server.loop import Loop
from fdstorefs.server.record import Records
from fdstorefs.server.subjects import Subjects


@dataclass(slots=True)
class Context:
    """One instance's parts. `status` makes the reply of the interface's Status."""

    loop: Loop
    store: Store
    intake: Intake
    subjects: Subjects
    records: Records
    status: Callable[[], dict[str, Any]]
    restores: Counter[int] = field(default_factory=Counter)
    """How many restores each user has begun and not done."""
