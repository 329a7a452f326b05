"""Writes 4 KiB, durably, again and again: beat.py FILE PHASE END. The longest time between two of them
in each phase (the word in the file PHASE) stands in gap.PHASE; the file beats counts. Ends when END is there."""
import os
import sys
import time

path, phase_file, end = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DSYNC)
worst = {}
count = 0
last = time.monotonic()


def put(name, text):
    with open(name + ".new", "w") as f:
        f.write(text + "\n")
    os.rename(name + ".new", name)


while not os.path.exists(end):
    os.pwrite(fd, count.to_bytes(8, "little") * 512, count % 64 * 4096)
    now = time.monotonic()
    with open(phase_file) as f:
        phase = f.read().strip().replace(" ", "_")
    if now - last > worst.get(phase, 0):
        worst[phase] = now - last
        put(f"gap.{phase}", f"{now - last:.2f}")
    last = now
    count += 1
    put("beats", str(count))
    time.sleep(0.04)
