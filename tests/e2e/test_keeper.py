#!/usr/bin/env python3
"""What tests leave behind when they are killed is ended; by keeper.py, or by rigs/ceph/with-cluster of a C program,
not by what is tested."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import harness
from harness import case, expect, expect_eq, wait_for

TEST = """import sys
import keeper
for name in ("first", "second"):
    keeper.when_killed("sh", "-c", f"echo {name} >> '{sys.argv[1]}'")
print("ready", flush=True)
sys.stdin.read()
"""


def start(notes):
    test = subprocess.Popen([sys.executable, "-c", TEST, notes], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)}, text=True)
    expect_eq(test.stdout.readline(), "ready\n")
    return test


@case
def what_a_killed_test_has_left_is_ended_the_last_first():
    with harness.folder() as folder:
        test = start(folder / "notes")
        test.send_signal(signal.SIGKILL)
        test.communicate()
        wait_for(lambda: (folder / "notes").exists() and len((folder / "notes").read_text().split()) == 2, "both to be ended")
        expect_eq((folder / "notes").read_text().split(), ["second", "first"])


@case
def a_test_that_ends_by_itself_has_left_nothing():
    with harness.folder() as folder:
        test = start(folder / "notes")
        test.communicate()  # it waits for its keeper
        expect_eq(test.returncode, 0)
        expect(not (folder / "notes").exists(), "something was ended by the keeper")


# Beside with-cluster in the place of the real one: one daemon, and a stop that takes longer than meson waits.
RIG = """#!/bin/sh
case $1 in
start) setsid sleep 900 >"$2/log" 2>&1 & echo $! >"$2/pid"; echo "$2" >"$0.folder" ;;
stop) echo stopping >>"$0.stops"; [ -e "$0.hurry" ] || sleep 900; kill "$(cat "$2/pid")" && rm -rf "$2" ;;
esac
"""


def start_with_cluster(folder, program):
    """When the program runs: the process, in a group of its own as meson starts it; its cluster's folder."""
    (folder / "ceph-rig").write_text(RIG)
    (folder / "ceph-rig").chmod(0o755)
    shutil.copy(harness.Cluster.RIG.parent / "with-cluster", folder)
    test = subprocess.Popen([folder / "with-cluster", "sh", "-c", f"echo ready; {program}"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, text=True)
    expect_eq(test.stdout.readline(), "ready\n")
    return test, pathlib.Path((folder / "ceph-rig.folder").read_text().strip())


@case
def the_cluster_of_a_killed_c_program_is_ended():
    with harness.folder() as folder:
        test, cluster = start_with_cluster(folder, "exec sleep 900")
        os.killpg(test.pid, signal.SIGTERM)
        wait_for((folder / "ceph-rig.stops").exists, "the cluster to be stopped")
        (folder / "ceph-rig.hurry").touch()
        os.killpg(test.pid, signal.SIGKILL)
        test.communicate()
        wait_for(lambda: not cluster.exists(), "the cluster to be gone")
        expect_eq((folder / "ceph-rig.stops").read_text().split(), ["stopping"] * 2)


@case
def the_cluster_of_a_c_program_that_ends_is_ended_once():
    with harness.folder() as folder:
        test, cluster = start_with_cluster(folder, "read line; exit 7")
        (folder / "ceph-rig.hurry").touch()
        test.communicate("end\n")
        expect_eq(test.returncode, 7)
        expect(not cluster.exists(), "the cluster is there")
        expect_eq((folder / "ceph-rig.stops").read_text().split(), ["stopping"])


harness.main()
