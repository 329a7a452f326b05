#!/usr/bin/env python3
"""What tests leave behind when they are killed is ended; by keeper.py, not by what is tested."""
import os
import pathlib
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


harness.main()
