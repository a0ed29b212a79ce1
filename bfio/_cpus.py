"""How many CPUs this process may use, which is often fewer than the machine has."""

import functools
import math
import os
from pathlib import Path, PurePosixPath


def available_cpus() -> int:
    """Number of CPUs that this process may use: affinity and the quota of its cgroup, rounded up; at least 1."""
    if hasattr(os, "process_cpu_count"):
        n_cpus = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        n_cpus = len(os.sched_getaffinity(0))
    else:
        n_cpus = os.cpu_count() or 1
    return max(1, min(n_cpus, math.ceil(_cgroup_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))))


@functools.cache  # 0.2 ms, and a quota hardly ever changes under a process
def _cgroup_quota(membership: Path, root: Path) -> float:
    """CPUs that the cgroups of this process, and those above them, grant; at most 1e6."""
    quota = 1e6
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return quota
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for mount in (root / controllers, root / "cpu") if controllers else (root, root / "unified"):
            for folder in (inner, *inner.parents):
                quota = min(quota, _quota_of(mount / folder))
    return quota


def _quota_of(folder: Path) -> float:
    """CPUs granted by one cgroup: ``cpu.max`` of version 2, or ``cpu.cfs_*`` of version 1."""
    try:
        if (folder / "cpu.max").exists():
            limit, period = (folder / "cpu.max").read_text().split()
        else:
            limit = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(limit) / int(period) if int(limit) > 0 and int(period) > 0 else math.inf
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf
