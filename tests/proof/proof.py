#!/usr/bin/env python3
"""The proof of high availability: initiators work on registers, counters and reservations through all
gateways while faults are drawn by lot; afterwards the checker judges what they were answered.

A history goes on until the time is over or `--faults` were made. Some faults come one at a time, some
on the heels of another. After each such storm all LUNs must be served again through all paths, within
a bounded time. With --planted NAME the gateways have that
mistake built in, and the checker must find a violation."""
import argparse
import random
import re
import subprocess
import sys
import time
import traceback

import world as worlds
from faults import CALM, FAULTS, HARMLESS
from world import PROOF, Failure, expect

STORMS = (1, 2, 3, 4), (4, 3, 2, 1)  # faults in a row, how often
# name: what the planted programs do, and the faults that bring it to light.
PLANTED = {
    "no-fence": ("no-fence", "cut cluster, freeze"),
    "short-fence": ("short-fence", "cut cluster, freeze"),
    "early-answer": ("early-answer", "kill the owner/pause an OSD"),
    "no-drain": ("no-drain,slow", "hand over/drain"),
    "slow": ("slow", "hand over/drain"),
}
INNOCENT = ("slow",)  # no mistake: what else no-drain has, and nothing may be found
TRIES = 3  # a mistake may do no harm for a minute, and then the run is made again
CHECK_S = 600
# A run for so long that draws from all faults must contain something of everything, and a fault each 20 s: one
# comes each 6 s, on a busy machine each 12 s.
WHOLE_S, FAULT_S = 60, 20
JUDGED = r"(\d+) fences", r"write +(\d+) ok", r"read +(\d+) ok", r"swap +(\d+) ok"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="of faults")
    parser.add_argument("--faults", type=int, default=10**9, help="at most so many")
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--luns", type=int, default=4, help="beside the one of the duel")
    parser.add_argument("--workers", type=int, default=6, help="of each initiator: commands at once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    parser.add_argument("--rate", type=int, default=300, help="operations a second")
    parser.add_argument("--planted", choices=PLANTED, help="gateways with this mistake; it must be found")
    parser.add_argument("--only", help="faults whose name contains one of these, separated by /")
    parser.add_argument("--leave-out", help="no faults whose name contains one of these")
    parser.add_argument("--hold", type=float, default=0, help="seconds to look around after a failure")
    parser.add_argument("--keep", help="a folder for history and logs")
    return parser.parse_args()


class Table:
    """How often each kind of fault was made, and the gaps of those that came alone."""

    def __init__(self):
        self.counts, self.gaps, self.harmless = {}, {}, 0

    def add(self, storm, gap_ms, harmless):
        self.harmless += harmless
        for name in storm:
            self.counts[name] = self.counts.get(name, 0) + 1
        if len(storm) == 1:
            self.gaps.setdefault(storm[0], []).append(gap_ms)

    def show(self):
        print(f"# {'fault':24} {'count':>6} {'median gap':>12} {'worst gap':>12}")
        for name, count in sorted(self.counts.items()):
            gaps = sorted(self.gaps.get(name, []))
            shown = f"{gaps[len(gaps) // 2]:9.0f} ms {gaps[-1]:9.0f} ms" if gaps else "never alone"
            print(f"# {name:24} {count:6} {shown}")
        print(f"# {'all':24} {sum(self.counts.values()):6}")
        print(f"# storms in which nobody may be fenced: {self.harmless}", flush=True)


def choose_faults(options):
    def named(text, name):
        return any(part.strip() in name for part in text.split("/"))
    names = [n for n in FAULTS if (not options.only or named(options.only, n)) and
             not (options.leave_out and named(options.leave_out, n)) and not ("two" in n and options.gateways < 2)]
    return names, [FAULTS[n][1] for n in names]


def hold(world, seconds):
    """The time that a fault lasts is part of it; the driver must live through it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        expect(world.driver.process.poll() is None, "the driver ended")
        time.sleep(max(0, min(0.1, end - time.monotonic())))


def one_fault(world, rng, name):
    world.driver.mark(f"fault: {name}")
    seed = rng.randrange(2**31)
    for seconds in FAULTS[name][0](world, random.Random(seed)):
        hold(world, seconds)
    world.driver.mark(f"healed: {name}")


def one_storm(world, rng, storm, table, started):
    driver = world.driver
    harmless = all(name in HARMLESS for name in storm)
    instances = world.instances() if harmless else None
    driver.reset()
    begun = time.monotonic()
    for name in storm:
        one_fault(world, rng, name)
    lasted = time.monotonic() - begun
    world.wait_served(world.gateways)
    if harmless:
        now = world.instances()
        expect(now == instances, f"somebody was fenced who lived: instances {instances}, now {now}")
    gap = driver.worst_gap_ms()
    table.add(storm, gap, harmless)
    print(f"# {time.monotonic() - started:7.1f} s: {' + '.join(storm)}: lasted {lasted:.1f} s, converged "
          f"{time.monotonic() - begun - lasted:.1f} s later, worst gap {gap:.0f} ms", flush=True)


def draw_storm(rng, names, weights, at_most):
    count = min(rng.choices(*STORMS)[0], at_most)
    storm = rng.choices(names, weights, k=count)
    return storm[:1] + [name for name in storm[1:] if name not in CALM]


def inject(world, options, table):
    """Faults until the time is over. Returns what went wrong, None if nothing did."""
    rng = random.Random(options.seed)
    names, weights = choose_faults(options)
    started = time.monotonic()
    world.wait_served(world.gateways)
    made = 0
    while time.monotonic() - started < options.seconds and made < options.faults:
        storm = draw_storm(rng, names, weights, 1 if options.planted else options.faults - made)
        try:
            one_storm(world, rng, storm, table, started)
        except (Failure, subprocess.TimeoutExpired) as failure:
            print(f"# seed {options.seed}: fault {made + 1}, {' + '.join(storm)}: {failure}", flush=True)
            world.logs()
            hold(world, options.hold)
            return f"{' + '.join(storm)}: {failure}"
        made += len(storm)
    return None


def judge(world, options):
    """True if the checker found a violation; and what it says."""
    done = subprocess.run([str(PROOF / "proof-check"), world.driver.history], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=CHECK_S)
    for line in done.stdout.splitlines():
        print(f"# {line[:1500]}", flush=True)
    expect(done.returncode in (0, 1), f"proof-check ended with {done.returncode}")
    return done.returncode == 1, done.stdout


def expect_whole(options, table, verdict):
    """A run in which nearly nothing happened shows nothing."""
    if options.planted or options.only or options.leave_out or options.seconds < WHOLE_S:
        return
    made = sum(table.counts.values())
    expect(made >= min(options.faults, options.seconds / FAULT_S), f"only {made} faults in {options.seconds:.0f} s")
    for judged in JUDGED:
        found = re.search(judged, verdict)
        expect(found and int(found[1]) > 0, f"nothing judged of {judged}")


def finish(world):
    """The last reads. Returns what went wrong, None if nothing did."""
    try:
        status = world.driver.finish()
    except Failure as failure:
        print(f"# {failure}", flush=True)
        return f"{failure}"
    print(f"# answers: {status['answers']}, duels: {status['duels']}, paths lost: {status['lost_paths']}, "
          f"last error: {status['last_error']}", flush=True)
    # Neither a promise nor a refusal: whoever is asked says BUSY, NOT READY or 0B/xx while there is trouble.
    return f"answered by an error: {status['last_error']}" if status["last_error"] else None


def keep(world, folder):
    subprocess.run(["cp", "-r", str(world.folder), folder], check=False)
    subprocess.run(["cp", "-r", f"{world.cluster.folder}/log", f"{folder}/ceph"], check=False)


def prove(options):
    """True if the checker found a violation; a run without it raises whatever else went wrong."""
    table = Table()
    program = "rbd-target-io-planted" if options.planted else "rbd-target-io"
    environment = {"RBDGATE_PLANTED": PLANTED[options.planted][0]} if options.planted else {}
    with worlds.world(gateways=options.gateways, luns=options.luns + 1, program=program,
                      environment=environment, settings={"return_after": 5}) as world:
        try:
            world.start()
            world.driver = world.drive("--initiators", 3, "--workers", options.workers, "--luns", options.luns, "--duel", options.luns,
                                       "--rate", options.rate, "--seed", options.seed, "--seconds", 86400,
                                       "--verbose", "yes")
            try:
                trouble = inject(world, options, table)
                end = finish(world)
                trouble = trouble or end
            finally:
                world.driver.kill()
            table.show()
            violated, verdict = judge(world, options)  # whatever went wrong
        except BaseException:
            world.logs()
            raise
        finally:
            if options.keep:
                keep(world, options.keep)
    if not violated and not is_guilty(options):
        expect(trouble is None, f"{trouble}")
        expect_whole(options, table, verdict)
    return violated


def is_guilty(options):
    return options.planted and options.planted not in INNOCENT


def find_planted(options):
    """Whatever else the programs did."""
    for left in reversed(range(TRIES)):
        if prove(options):
            return
        if left:
            options.seed += 1
            print(f"# nothing was found; once more with seed {options.seed}", flush=True)
    raise Failure(f"the checker found nothing in {TRIES} runs, although {options.planted} was planted")


def main():
    options = arguments()
    if options.planted and not options.only:
        options.only = PLANTED[options.planted][1]
    print(f"1..1\n# seed {options.seed}, {options.gateways} gateways", flush=True)
    name = f"finds_{options.planted}" if is_guilty(options) else "no_fault_loses_or_reorders_anything"
    try:
        if is_guilty(options):
            find_planted(options)
        else:
            expect(not prove(options), "the history is not possible")
        print(f"ok 1 - {name} # seed {options.seed}")
    except Exception:  # the failure is one line of TAP
        print(f"not ok 1 - {name} # seed {options.seed}")
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        sys.exit(1)


main()
