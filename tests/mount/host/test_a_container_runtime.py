"""A real container runtime, crun, calls the hook while it makes a container."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.mount.cast import REPOSITORY, Cast
from tests.mount.host.container import FIRST_UID
from tests.mount.host.service import Service

CRUN = ["crun", "--cgroup-manager=disabled"]
WITHOUT_CGROUPS = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /sys/fs/cgroup && exec "$@"', "sh"]
"""It refuses to run where both versions are mounted, whether it is to use them or not."""
NAMESPACES = ("user", "pid", "mount", "ipc", "uts")


def bundle(cast: Cast, socket: str, stage: str, mount: str) -> Path:
    """A container whose program is sleep(1), with the host's /usr and everything else its own."""
    made = Path(cast.directory(None, "bundle-"))
    os.chmod(made, 0o755)
    root = made / "rootfs"
    for name in ("proc", "run", "usr", "dev"):
        (root / name).mkdir(parents=True)
        os.chown(root / name, FIRST_UID, FIRST_UID)
    os.chown(root, FIRST_UID, FIRST_UID)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    hook = {
        "path": sys.executable,
        "args": [sys.executable, "-m", "fdstorefs", "host", "hook", "--socket", socket],
        "env": [f"PYTHONPATH={REPOSITORY}"],
    }
    mapping = [{"containerID": 0, "hostID": FIRST_UID, "size": 65536}]
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/bin/sleep", "300"], "user": {"uid": 0, "gid": 0}},
        "annotations": {"io.fdstorefs.mount": mount},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/run", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
        ],
        "hooks": {stage: [hook]},
        "linux": {
            "namespaces": [{"type": each} for each in NAMESPACES],
            "uidMappings": mapping,
            "gidMappings": mapping,
        },
    }
    (made / "config.json").write_text(json.dumps(config))
    return made


def crun(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    return subprocess.run(
        [*WITHOUT_CGROUPS, *CRUN, *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("crun"), reason="takes root and crun")
@pytest.mark.parametrize("stage", ["createRuntime", "poststart"])
def test_it_has_an_instance(
    service: Callable[..., Service], cast: Cast, wait_for: Callable[..., None], stage: str
) -> None:
    """Its processes find it where the annotation says, and it ends with the container."""
    host = service()
    made = bundle(cast, host.socket, stage, "/run/store")
    name = f"fdstorefs-{os.getpid()}-{stage}"
    log = made / "log"
    with ExitStack() as stack:
        with open(log, "w") as output:
            done = subprocess.run(
                [*WITHOUT_CGROUPS, *CRUN, "run", "--detach", "--bundle", str(made), name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=60,
            )
        stack.callback(crun, "delete", "--force", name)

        assert 0 == done.returncode, log.read_text()
        pid = json.loads(crun("state", name).stdout)["pid"]
        stack.callback(os.kill, pid, signal.SIGKILL)
        wait_for(host.instances, what="the instance")
        look = ["nsenter", "--target", str(pid), "--all", "--", "/bin/ls", "-A", "/run/store"]

        assert ".fdstore\n" == subprocess.run(look, capture_output=True, text=True, check=False).stdout
        assert [("/run/store", pid)] == [(each.mount, each.first) for each in host.instances()]
    wait_for(lambda: not host.processes(), what="the instance to end")
