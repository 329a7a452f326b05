#!/usr/bin/env python3
"""How long do initiators wait? The longest time between completed I/Os, over all LUNs of one gateway,
at an initiator whose I/O enters at the other one, when the first is killed, falls silent, is stopped
well, or hands over; and the same without anything, which is what the measuring itself adds."""
import argparse
import json
import random
import shutil
import statistics
import time

import world as worlds
from harness import Cluster
from world import IQN, NETWORKS, expect, wait_for

PACE = 40  # operations a second at each LUN, as far as --rate allows
WATCHED_PART = 0.8  # of --rate, at most
FOLLOWED = 8  # LUNs of a drain whose turn comes next
FOLLOWED_PACE = 80  # operations a second at each of them
READS = 95  # of a hundred; writes cost Ceph most, on the cores that the take-over needs, too
LIMITS_MS = {"killed": (1500, 1500, 5000), "silent": (5000, 5000, 8000), "stopped": (300, 300, None),
             **dict.fromkeys(("hand over", "drain", "balance"), (100, 100, None))}  # with 1, up to 64 and up to 512 LUNs


def count(gw, state):
    try:
        return sum(l["state"] == state for l in gw.status()["luns"])
    except (OSError, ValueError):
        return -1


class Trouble:
    """What happens to the gateway that has all LUNs, and how that is undone."""

    @staticmethod
    def watched(world):
        """How many of the first LUNs count, because they alone move; 0: all. They are asked more often than the rest."""
        return 0

    @staticmethod
    def follows(world):
        """All LUNs move, in the order of their numbers, one after the other: those are asked more often whose turn comes next."""
        return False


class Killed(Trouble):
    def harm(self, world, victim):
        victim.io.kill()

    def heal(self, world, victim):
        victim.io.start()


class Silent(Trouble):
    def harm(self, world, victim):
        world.network.cut(victim.name, NETWORKS)

    def heal(self, world, victim):
        world.network.heal(victim.name)


class Stopped(Trouble):
    def harm(self, world, victim):
        victim.io.stop()

    def heal(self, world, victim):
        victim.io.start()


class HandOver(Trouble):
    """One LUN among those that are in use: its own gap."""

    @staticmethod
    def watched(world):
        return 1

    def harm(self, world, victim):
        worlds.move(world.survivor, min(world.disks), world.survivor)
        wait_for(lambda: count(victim, "ready") == len(world.disks) - 1, "a LUN to move", 60)

    def heal(self, world, victim):
        worlds.move(world.survivor, min(world.disks), victim)


class Drain(Trouble):
    """All LUNs of one gateway, as before maintenance."""

    @staticmethod
    def follows(world):
        return len(targets(world)) == 1 and len(world.disks) >= 2 * FOLLOWED

    def harm(self, world, victim):
        worlds.drain(world.survivor, victim)
        wait_for(lambda: count(victim, "ready") == 0, "an empty gateway", 120, 0.25)

    def heal(self, world, victim):
        worlds.undrain(world.survivor, victim)


class Balance(Trouble):
    """The other gateway gets its share, as a new one does: half of the LUNs, one after the other, by their names."""

    @staticmethod
    def watched(world):
        return len(targets(world)[0][1]) // 2

    def harm(self, world, victim):
        share = sum(len(disks) // 2 for _, disks in targets(world))
        for target, _ in targets(world):
            world.survivor.call("PUT", f"/rbdgate/balance/{target}")
        wait_for(lambda: count(world.survivor, "ready") == share, "the other gateway to have its share", 120, 0.25)

    def heal(self, world, victim):
        for lun in world.survivor.status()["luns"]:
            if lun["state"] == "ready":
                worlds.move(world.survivor, lun["name"].split("/")[1], victim)


class Nothing(Trouble):
    def harm(self, world, victim):
        pass

    heal = harm


KINDS = {"nothing": Nothing(), "hand over": HandOver(), "drain": Drain(), "balance": Balance(),
         "stopped": Stopped(), "killed": Killed(), "silent": Silent()}


# ---- the world ----

AT_ONCE = 250  # disks that the API takes into the object
TARGET_LUNS = 256  # that a target has at most


def targets(world):
    """Names of targets, and the disks of each."""
    disks = sorted(world.disks)
    return [(f"{IQN}{at // TARGET_LUNS or ''}", disks[at:at + TARGET_LUNS]) for at in range(0, len(disks), TARGET_LUNS)]


def edit(world, change):
    """Changes the object by hand: the API wants no more than 256 disks, and tells all gateways of each."""
    file, pool = world.folder / "object.json", ("-p", "rbd")
    world.cluster.run("rados", *pool, "get", "gateway.conf", file)
    config = json.loads(file.read_text())
    change(config)
    config["epoch"] += 1
    file.write_text(json.dumps(config))
    world.cluster.run("rados", *pool, "put", "gateway.conf", file)
    world.cluster.run("rados", *pool, "setxattr", "gateway.conf", "epoch", config["epoch"])


def make_disks(world):
    """Every disk is a LUN of the target and the first gateway's."""
    made = {}
    def take_out(config):
        made.update(config["disks"])
        config["disks"] = {}
    def put_in(config):
        config["disks"] = {name: {**disk, "owner": world.gateways[0].name} for name, disk in made.items()}
        for target, disks in targets(world):
            config["targets"][target]["disks"] = {f"rbd/{disk}": {"lun_id": number} for number, disk in enumerate(disks)}
    for at in range(0, len(world.disks), AT_ONCE):
        for disk in world.disks[at:at + AT_ONCE]:
            world.gateways[0].call("PUT", f"/disk/rbd/{disk}", mode="create", size=worlds.DISK_BYTES)
        edit(world, take_out)
    edit(world, put_in)


def make(world):
    """All that is configured; the disks while no gateway runs that would have to follow each."""
    world.start_gateways()
    for target, _ in targets(world):
        world.make_target(target)
    for gw in world.gateways:
        gw.io.stop()
    make_disks(world)


def start(world):
    begun = time.monotonic()
    make(world)
    made = time.monotonic()
    for gw in world.gateways:
        gw.io.start()
    wait_home(world, world.gateways[0])
    print(f"# {len(world.disks)} LUNs made in {made - begun:.1f} s; gateways started and all LUNs at their owner "
          f"{time.monotonic() - made:.1f} s later", flush=True)


class Drivers:
    """One for each target, seen as one."""

    def __init__(self, drivers):
        self.drivers = drivers

    def reset(self):
        for driver in self.drivers:
            driver.reset()

    def status(self):
        rows = [driver.status() for driver in self.drivers]
        worst = max(rows, key=lambda row: row["worst_gap_ms"])
        return {**worst, "time": min(row["time"] for row in rows),
                "silent_ms": max(row["silent_ms"] for row in rows),
                "worst_wait_ms": max(row["worst_wait_ms"] for row in rows),
                "last_error": next((row["last_error"] for row in rows if row["last_error"]), ""),
                "seen_moving": sum(row["seen_moving"] for row in rows),
                "answers": {name: sum(row["answers"][name] for row in rows) for name in worst["answers"]}}

    def kill(self):
        for driver in self.drivers:
            driver.kill()


def drive(world, kind, through, options):
    """All LUNs, at an even pace; those that are watched more often, by an initiator of their own."""
    gateways = {"survivor": world.gateways[1:], "both": world.gateways}[through]
    follow = kind.follows(world)
    def one(number, target, luns, workers, pace):
        return world.drive(
            *(["--follow", FOLLOWED, "--follow-rate", FOLLOWED_PACE] if follow else []),
            "--target", target, "--name", f"{IQN}-{number}", "--initiators", 1, "--workers", workers, "--luns", luns,
            "--bound", "yes", "--counters", 0, "--rate", max(1, round(workers * pace)), "--reads", READS,
            "--seconds", 86400, "--policy", "preferred", "--seed", options.seed, through=gateways,
            name=f"times-{len(world.disks)}-{through}-{number}")
    watched, rate = kind.watched(world), options.rate
    world.watcher = None
    if watched:
        pace = min(PACE, WATCHED_PART * rate / watched)
        rate -= pace * watched
        world.watcher = one("watcher", targets(world)[0][0], watched, watched, pace)
    pace = min(PACE, rate / max(len(world.disks), 4))
    slowest = (rate - FOLLOWED * FOLLOWED_PACE) / (len(world.disks) - FOLLOWED) if follow else pace
    expect(slowest > 0, f"--rate is to be more than {FOLLOWED * FOLLOWED_PACE}")
    world.pause_ms = 1100 / slowest  # a worker's longest between two commands
    world.driver = Drivers([one(number, target, len(disks), max(len(disks), 4), pace)
                            for number, (target, disks) in enumerate(targets(world))])


def stop_driving(world):
    world.driver.kill()
    if world.watcher:
        world.watcher.kill()


# ---- measuring ----

class Machine:
    """How much of the CPUs' time others took meanwhile: guests of the same host, which nothing here can keep quiet."""

    def __init__(self):
        self.begun = self.read()

    @staticmethod
    def read():
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(word) for word in stat.readline().split()[1:9]]
        return ticks[7], sum(ticks)

    def stolen_percent(self):
        stolen, total = (after - before for after, before in zip(self.read(), self.begun))
        return 100 * stolen / max(1, total)



def wait_home(world, victim):
    """All gateways must say so: one that is fenced does not know it at once."""
    luns = len(world.disks)
    def there():
        return all(count(gw, "ready" if gw is victim else "forwarded") == luns for gw in world.gateways)
    wait_for(there, f"{luns} LUNs at {victim.name}", 240, 0.1)


def settle(world, since):
    """Every LUN has answered since, and goes on."""
    patience_ms = world.pause_ms + 250
    def there():
        status = world.driver.status()
        return status["time"] > since + patience_ms / 1000 + 0.25 and status["silent_ms"] < patience_ms
    try:
        wait_for(there, "all LUNs to answer", 90, 0.05)
    except worlds.Failure as failure:
        raise worlds.Failure(f"{failure}: {world.driver.status()}") from None


def one_round(world, kind, rng):
    victim, driver = world.gateways[0], world.watcher or world.driver
    wait_home(world, victim)
    world.driver.reset()
    settle(world, world.driver.status()["time"])
    time.sleep(rng.uniform(0, 1))  # at another phase of all timers each time
    driver.reset()
    machine = Machine()
    kind.harm(world, victim)
    settle(world, world.driver.status()["time"])
    status = {**driver.status(), "stolen": machine.stolen_percent()}
    if kind.follows(world):
        expect(status["seen_moving"] == len(world.disks), f"all LUNs to be followed when they move: {status}")
    kind.heal(world, victim)
    return status


FAILURES = {"busy": "BUSY", "maybe": "0B/08", "error": "other errors", "none": "without an answer"}


class Row:
    """What came out for one kind of trouble and number of LUNs."""

    def __init__(self, name, luns, through):
        self.name, self.luns, self.through = name, luns, through
        self.gaps, self.waits, self.stolen, self.failed = [], [], [], dict.fromkeys(FAILURES, 0)

    def add(self, status):
        self.gaps.append(status["worst_gap_ms"])
        self.waits.append(status["worst_wait_ms"])
        self.stolen.append(status["stolen"])
        for name in FAILURES:
            self.failed[name] += status["answers"][name]

    def limit_ms(self):
        limits = LIMITS_MS.get(self.name)
        return limits and limits[0 if self.luns == 1 else 1 if self.luns <= 64 else 2]

    def cells(self):
        limit = self.limit_ms()
        failed = ", ".join(f"{count} {FAILURES[name]}" for name, count in self.failed.items() if count)
        return [self.name, self.luns, self.through, len(self.gaps), seconds(statistics.median(self.gaps)),
                seconds(max(self.gaps)), seconds(statistics.median(self.waits)), seconds(max(self.waits)),
                seconds(limit) + ("" if max(self.gaps) <= limit else " MISSED") if limit else "",
                failed or "none", f"{statistics.median(self.stolen):.0f} %, {max(self.stolen):.0f} %"]


HEAD = ["trouble", "LUNs", "I/O enters at", "rounds", "gap: median", "worst", "waited: median", "worst", "goal (gap)",
        "commands that failed", "CPU that others took: median, worst"]


def seconds(ms):
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def line(cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def measure(world, name, row, options):
    rng = random.Random(options.seed)
    for number in range(1, 3 * options.rounds + 1):
        begun = time.monotonic()
        status = one_round(world, KINDS[name], rng)
        disturbed = status["stolen"] > options.disturbed
        if not disturbed:
            row.add(status)
        print(f"# {name}, {row.luns} LUNs, round {number}: gap {seconds(status['worst_gap_ms'])} (LUN "
              f"{status['worst_lun']}), waited {seconds(status['worst_wait_ms'])}; the round took "
              f"{time.monotonic() - begun:.1f} s, others took {status['stolen']:.0f} %"
              + (", so it does not count" if disturbed else "")
              + (f"; {status['last_error']}" if status["answers"]["error"] else ""), flush=True)
        if len(row.gaps) == options.rounds:
            return
    raise worlds.Failure(f"{name}: only {len(row.gaps)} rounds of {options.rounds} were undisturbed")


def run_with(luns, options, rows):
    with worlds.world(gateways=2, luns=luns, osds=1, settings={"return_after": 1}) as world:
        try:
            start(world)
            world.survivor = world.gateways[1]
            for through in options.through.split(","):
                for name in options.kinds.split(","):
                    drive(world, KINDS[name], through, options)
                    try:
                        rows.append(Row(name, luns, through))
                        measure(world, name, rows[-1], options)
                    finally:
                        stop_driving(world)
        except BaseException:
            world.logs()
            raise
        finally:
            if options.keep:
                shutil.copytree(world.folder, f"{options.keep}/{luns}", dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("*.sock", "times-*"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--luns", default="1,64")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--through", default="survivor,both")
    parser.add_argument("--rate", type=int, default=2000, help="operations a second, of all LUNs together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disturbed", type=float, default=100, metavar="PERCENT",
                        help="a round in which others took more of the CPUs does not count")
    parser.add_argument("--keep", help="a folder for the logs")
    parser.add_argument("--cluster-in", default="/dev/shm",
                        help="in memory a write takes the cluster as long as on a fast device, and as long each time")
    options = parser.parse_args()
    Cluster.place = options.cluster_in
    expect(set(options.kinds.split(",")) <= set(KINDS), f"kinds: {', '.join(KINDS)}")
    rows = []
    try:
        for luns in options.luns.split(","):
            run_with(int(luns), options, rows)
    finally:
        for cells in (HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows if row.gaps)):
            print(line(cells), flush=True)


main()
