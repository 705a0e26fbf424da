"""An instance on the stage, which serves by policies and keeps an audit log."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mount.cast import REPOSITORY, Cast
from tests.mount.conftest import await_readiness
from tests.mount.example_policies.stage import Role, Stage
from tests.mount.instance import Instance
from tests.mount.policies import write

EXAMPLES = REPOSITORY / "examples" / "policies"


@dataclass
class Scene:
    """What a test needs of the instance."""

    stage: Stage
    instance: Instance
    log: Path

    @property
    def mount(self) -> str:
        """Where it is mounted, on the stage."""
        return self.instance.mount

    def role(
        self,
        user: str | int = "root",
        cgroup: str = "/user.slice",
        *,
        can: Sequence[str] = (),
        container: str = "",
    ) -> Role:
        """A user before this instance; as `Stage.actor`."""
        return Role(self.stage.actor(user, cgroup, can=can, container=container), self.mount)

    def denials(self, pid: int | None = None) -> list[dict[str, Any]]:
        """The denials on record once the server has ended, all or those of one process; oldest first."""
        self.instance.stop()
        records = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [
            record
            for record in records
            if record.get("verdict") == "deny" and pid in (None, record["subject"]["pid"])
        ]


@contextmanager
def scene(stage: Stage, *policies: str, beside: str = "") -> Iterator[Scene]:
    """Serve by examples, and by the text of another policy beside them; with none by the built-in default."""
    with ExitStack() as stack:
        cast = Cast(stack)
        os.chmod(cast.home(None), 0o755)
        place = Path(cast.directory(None, "policies-"))
        # Root's own copies: whoever owns the clone may be nobody inside the namespace.
        copies = [shutil.copyfile(EXAMPLES / policy, place / policy) for policy in policies]
        if beside:
            copies.append(Path(write(place / "beside.yaml", beside)))
        audit = place / "audit.jsonl"
        options = [word for copy in copies for word in ("--policy", str(copy))]
        instance = _start(stage, cast, stack, [*options, "--audit", f"file:{audit}"])
        yield Scene(stage, instance, audit)


def _start(stage: Stage, cast: Cast, stack: ExitStack, options: Sequence[str]) -> Instance:
    mount = cast.directory(None, "fdstore-")
    log = stack.enter_context(tempfile.TemporaryFile("a+"))
    ready, ready_fd = os.pipe()
    announcement = stack.enter_context(os.fdopen(ready))
    with os.fdopen(ready_fd, "w"):
        serve = [sys.executable, "-m", "fdstorefs", "serve", "--ready-fd", str(ready_fd), *options, mount]
        process = cast.start(
            [*stage.inside("/system.slice/fdstorefs.service"), *serve],
            stdout=log,
            stderr=log,
            pass_fds=[ready_fd],
        )
    instance = Instance(mount, process, None, namespace=True, cast=cast, log=log)
    stack.callback(instance.end)
    await_readiness(instance, announcement)
    return instance
