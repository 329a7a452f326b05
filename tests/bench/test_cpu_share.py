#!/usr/bin/env python3
"""A part of a CPU for each party: which groups are made, what is refused, and that nothing is left."""
import os
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).parents[2] / "bench"
sys.path[:0] = [str(BENCH), str(BENCH.parent / "tests/e2e")]

import cpu_share  # noqa: E402: found there
import harness  # noqa: E402
from harness import case, expect, expect_eq  # noqa: E402

SPINS_S = 0.3
SPIN = f"""import time
before = time.process_time()
end = time.monotonic() + {SPINS_S}
while time.monotonic() < end:
    pass
print(time.process_time() - before)
"""


def refusal_of(action):
    try:
        action()
    except cpu_share.Unavailable as error:
        return str(error)
    raise AssertionError("not refused")


@case
def both_versions_are_told_quota_and_period():
    for version, files in ((1, {"cpu.cfs_period_us": "5000", "cpu.cfs_quota_us": "1500"}),
                           (2, {"cpu.max": "1500 5000"})):
        expect_eq(cpu_share.settings(version, 0.3), files, f"version {version}")


@case
def the_hierarchy_is_the_one_with_the_cpu_controller():
    old = "cgroup /c/memory cgroup rw,memory 0 0\ncgroup /c/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup2 /c/u cgroup2 rw 0 0\n"
    new = "tmpfs /tmp tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"
    for mounts, has_cpu, wanted in ((old, False, (1, pathlib.Path("/c/cpu"))),
                                    (new, True, (2, pathlib.Path("/sys/fs/cgroup")))):
        expect_eq(cpu_share.hierarchy(mounts, lambda _, answer=has_cpu: answer), wanted)
    for mounts in ("", new):
        expect_eq(refusal_of(lambda text=mounts: cpu_share.hierarchy(text, lambda _: False)),
                  "no cgroup hierarchy with the cpu controller is mounted")


@case
def a_part_that_cannot_be_had_is_refused():
    cpus = len(os.sched_getaffinity(0))
    for share in (-1, 0, 0.1, float("nan"), cpus / 2 + 0.1):
        text = refusal_of(lambda part=share: cpu_share.CpuShares(["client", "owner"], part))
        expect(text.endswith(f"not {share:g}") and "\n" not in text, text)
    names = ["client", "owner", "forwarded", "relay"]  # the last two never work at the same time
    cpu_share.CpuShares(names, cpus / 3, at_once=3)
    text = refusal_of(lambda: cpu_share.CpuShares(names, cpus / 3 + 0.1, at_once=3))
    expect(text.startswith("each of 3 can have "), text)


@case
def part_of_the_periods():
    expect_eq(cpu_share.part_stopped((10, 100), (15, 110)), 0.5)
    expect_eq(cpu_share.part_stopped((10, 100), (10, 100)), 0.0)


@case
def a_process_gets_its_part_and_nothing_is_left():
    try:
        with cpu_share.CpuShares(["spinner"], 0.3) as groups:
            group, folder = groups["spinner"], groups["spinner"].folder
            before = group.periods()
            done = subprocess.run([sys.executable, "-c", SPIN], stdout=subprocess.PIPE, text=True, check=True,
                                  preexec_fn=group.join)
            expect(cpu_share.part_stopped(before, group.periods()) > 0.1, "it was hardly ever stopped")
            expect(float(done.stdout) < 0.6 * SPINS_S, f"{done.stdout.strip()} s of CPU in {SPINS_S} s")
        expect(not folder.exists(), f"{folder} is left")
    except cpu_share.Unavailable as error:
        print(f"# not here: {error}")


@case
def what_is_refused_is_one_line_of_the_program():
    done = subprocess.run([BENCH / "run", "--only", "forwarding", "--cpu-share", "1000", "/nowhere"], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    expect_eq((done.returncode, done.stdout), (1, ""))
    lines = [line for line in done.stderr.splitlines() if not line.startswith("only one CPU")]
    expect_eq(len(lines), 1, done.stderr)
    expect(lines[0].startswith("bench/run: --cpu-share: "), lines[0])


harness.main()
