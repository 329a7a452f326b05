#!/usr/bin/env python3
"""How long do initiators wait? The longest time between completed I/Os, over all LUNs of one gateway,
at an initiator whose I/O enters at the other one, when the first is killed, falls silent, is stopped
well, or hands over; and the same without anything, which is what the measuring itself adds."""
import argparse
import random
import statistics
import sys
import time

import world as worlds
from world import NETWORKS, expect, wait_for

SETTLED_MS = 400
LIMITS_MS = {"killed": 1500, "silent": 5000, "stopped": 300, "hand over": 100}


def owned(gw):
    try:
        return sum(l["state"] == "ready" for l in gw.status()["luns"])
    except (OSError, ValueError):
        return -1


class Killed:
    def harm(self, world, victim):
        victim.io.kill()

    def heal(self, world, victim):
        victim.io.start()


class Silent:
    def harm(self, world, victim):
        world.network.cut(victim.name, NETWORKS)

    def heal(self, world, victim):
        world.network.heal(victim.name)


class Stopped:
    def harm(self, world, victim):
        victim.io.stop()

    def heal(self, world, victim):
        victim.io.start()


class HandOver:
    """All LUNs of one gateway at once, as before maintenance."""

    def harm(self, world, victim):
        worlds.drain(world.survivor, victim)
        wait_for(lambda: owned(victim) == 0, "an empty gateway", 120)

    def heal(self, world, victim):
        worlds.undrain(world.survivor, victim)


class Nothing:
    def harm(self, world, victim):
        pass

    heal = harm


KINDS = {"nothing": Nothing(), "hand over": HandOver(), "stopped": Stopped(), "killed": Killed(), "silent": Silent()}


def prefer(world, victim):
    """All LUNs of the test are the victim's, for good."""
    for disk in world.disks:
        worlds.move(victim, disk, victim)


def wait_home(world, victim):
    wait_for(lambda: owned(victim) == len(world.disks), f"{len(world.disks)} LUNs at {victim.name}", 240, 0.1)


def settle(driver, since):
    """Every LUN has answered since, and goes on."""
    def there():
        status = driver.status()
        return status["time"] > since + 1 and status["silent_ms"] < SETTLED_MS
    wait_for(there, "all LUNs to answer", 90, 0.05)


def measure(world, kind, rounds, rng):
    victim = world.gateways[0]
    gaps, errors = [], {}
    for _ in range(rounds):
        wait_home(world, victim)
        world.driver.reset()
        settle(world.driver, world.driver.status()["time"])
        time.sleep(rng.uniform(0.5, 1.5))  # at another phase of all timers each time
        world.driver.reset()
        begun = world.driver.status()
        kind.harm(world, victim)
        settle(world.driver, begun["time"])
        status = world.driver.status()
        gaps.append(status["worst_gap_ms"])
        for name in ("busy", "maybe", "error", "none"):
            errors[name] = errors.get(name, 0) + status["answers"][name]
        kind.heal(world, victim)
    return gaps, errors


def show(name, luns, gaps, errors, through):
    limit = LIMITS_MS.get(name)
    errors = ", ".join(f"{count} {answer}" for answer, count in errors.items() if count) or "none"
    verdict = "" if limit is None or luns > 64 else " within" if max(gaps) <= limit else f" OVER {limit} ms"
    print(f"{name:10} {luns:4} LUNs, I/O through {through:8} {len(gaps):3} rounds: median {statistics.median(gaps):7.0f} "
          f"ms, worst {max(gaps):7.0f} ms, commands that failed: {errors}{verdict}", flush=True)


def run_with(luns, options):
    with worlds.world(gateways=2, luns=luns, settings={"return_after": 1}) as world:
        try:
            world.start()
            world.survivor = world.gateways[1]
            prefer(world, world.gateways[0])
            for through, gateways in (("survivor", world.gateways[1:]), ("both", world.gateways)):
                if through not in options.through.split(","):
                    continue
                workers = max(luns, 4)
                world.driver = world.drive(
                    "--initiators", 1, "--workers", workers, "--luns", luns, "--bound", "yes", "--counters", 0, "--rate",
                    min(workers * 60, options.rate), "--seconds", 86400, "--policy", "preferred",
                    "--seed", options.seed, through=gateways, name=f"times-{luns}-{through}")
                try:
                    for name in options.kinds.split(","):
                        gaps, errors = measure(world, KINDS[name], options.rounds, random.Random(options.seed))
                        show(name, luns, gaps, errors, through)
                finally:
                    world.driver.kill()
        except BaseException:
            world.logs()
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--luns", default="1,64")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--through", default="survivor,both")
    parser.add_argument("--rate", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    expect(set(options.kinds.split(",")) <= set(KINDS), f"kinds: {', '.join(KINDS)}")
    for luns in options.luns.split(","):
        run_with(int(luns), options)


main()
