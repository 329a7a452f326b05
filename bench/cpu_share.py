"""Hosts of their own on one machine: each in a control group that gets the same part of a CPU.

On one machine client and gateways take CPU from each other; as hosts they would not. The kernel's CFS
bandwidth control gives each of them its part and no more, in short periods. What the kernel does in
softirqs is charged to whoever runs then: on loopback that is mostly the sender, who pays for TCP's
receiving at the other end.
"""

import os
from pathlib import Path

PERIOD_US = 5000
QUOTA_LEAST_US = 1000  # the kernel takes no less


class Unavailable(Exception):
    """Why there can be no groups here, in one line."""


def settings(version, share):
    """What to write into a new group, by file."""
    quota_us = round(share * PERIOD_US)
    if version == 2:
        return {"cpu.max": f"{quota_us} {PERIOD_US}"}
    return {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota_us)}


def hierarchy(mounts, has_cpu):
    """(version, folder) of the hierarchy with the cpu controller; `has_cpu` tells it of a version 2 folder."""
    for line in mounts.splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind == "cgroup" and "cpu" in options.split(","):
            return 1, Path(folder)
        if kind == "cgroup2" and has_cpu(Path(folder)):
            return 2, Path(folder)
    raise Unavailable("no cgroup hierarchy with the cpu controller is mounted")


def controls_cpu(folder):
    return "cpu" in (folder / "cgroup.controllers").read_text().split()


def part_stopped(before, after):
    """Of the periods that a group ran in between two looks at them."""
    stopped, periods = (late - early for early, late in zip(before, after))
    return stopped / periods if periods else 0.0


class Group:
    """One host."""

    def __init__(self, version, folder, share):
        self.folder = folder
        folder.mkdir()
        try:
            for name, text in settings(version, share).items():
                (folder / name).write_text(text)
        except OSError:
            folder.rmdir()
            raise

    def join(self):
        """For a new process, before its program: nothing of that runs outside."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def periods(self):
        """Those that it was stopped in, and those that it ran in, so far."""
        counts = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(counts["nr_throttled"]), int(counts["nr_periods"])


class CpuShares:
    """Groups by name, `share` of a CPU each; `at_once` of them work at the same time (all of them). Their
    processes have ended when it is left."""

    def __init__(self, names, share, at_once=None):
        count = at_once or len(names)
        least, most = QUOTA_LEAST_US / PERIOD_US, len(os.sched_getaffinity(0)) / count
        if not least <= share <= most:
            raise Unavailable(f"each of {count} can have {least:g} to {most:.2g} of a CPU, not {share:g}")
        self.names, self.share, self.groups = names, share, {}

    def __enter__(self):
        version, top = hierarchy(Path("/proc/self/mounts").read_text(), controls_cpu)
        try:
            if version == 2:  # where a service manager is, it is so already
                (top / "cgroup.subtree_control").write_text("+cpu")
            for name in self.names:
                folder = top / f"rbdgate-bench-{os.getpid()}-{name}"
                self.groups[name] = Group(version, folder, self.share)
        except OSError as error:
            self.__exit__()
            raise Unavailable(f"no groups may be made: {error}") from error
        return self.groups

    def __exit__(self, *_):
        for group in self.groups.values():
            group.folder.rmdir()
        self.groups = {}
