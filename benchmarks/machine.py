"""What about this machine matters to the numbers; nothing that says whose it is."""

import os
import platform
import re
import resource
import shutil
import subprocess
from importlib.metadata import version
from typing import Any


def facts() -> dict[str, Any]:
    """Kernel, processors, limits and versions of what is measured."""
    return {
        "kernel": _kernel(),
        "processor": _cpuinfo("model name"),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in _cpuinfo("flags").split(),
        "idle": _read("/sys/devices/system/cpu/cpuidle/current_driver"),
        "load": round(os.getloadavg()[0], 2),
        "descriptor limit": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "python": platform.python_version(),
        "pyfuse3": version("pyfuse3"),
        "trio": version("trio"),
        "s6": _package_version("s6"),
        "gcc": _gcc(),
    }


def _kernel() -> str:
    # What follows the number names the place that built it.
    found = re.match(r"[0-9.]+", os.uname().release)
    return found.group().rstrip(".") if found else "unknown"


def _cpuinfo(key: str) -> str:
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return "unknown"


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return "unknown"


def _package_version(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return "unknown"
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"


def _gcc() -> str:
    return subprocess.run(
        ["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True
    ).stdout.strip()
