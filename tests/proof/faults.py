"""The faults, one row each: what is done to the world, for how long, and what heals it. A fault is a
generator: it does harm, yields how long that is to last, and heals."""
import json

import world as worlds
from world import wait_for


def mostly_short(rng, longest):
    """Some are long enough for a fence; most end at any point of the way there."""
    return min(longest, 0.3 + rng.expovariate(1 / min(4, longest / 2)))


def gateway_kill(world, rng):
    gw = rng.choice(world.gateways)
    gw.io.kill()
    yield mostly_short(rng, 6)
    gw.io.start()


def owner_kill(world, rng):
    gw = world.owner_of(rng.choice(world.disks)) or rng.choice(world.gateways)
    gw.io.kill()
    yield mostly_short(rng, 4)
    gw.io.start()


def two_kills(world, rng):
    """The survivor dies in the middle of its take-over."""
    first, second = rng.sample(world.gateways, 2)
    first.io.kill()
    yield rng.uniform(0, 3)
    second.io.kill()
    yield rng.uniform(0, 2)
    second.io.start()
    first.io.start()


def all_killed(world, rng):
    for gw in world.gateways:
        gw.io.kill()
    yield rng.uniform(0, 1)
    for gw in world.gateways:
        gw.io.start()


def freeze(world, rng):
    gw = rng.choice(world.gateways)
    gw.io.freeze()
    yield mostly_short(rng, 20)
    gw.io.thaw()


def freeze_short(world, rng):
    """Too short for a fence, long enough for commands to become old."""
    gw = rng.choice(world.gateways)
    gw.io.freeze()
    yield rng.uniform(0.2, 3)
    gw.io.thaw()


def graceful_stop(world, rng):
    gw = rng.choice(world.gateways)
    gw.io.stop()
    yield rng.uniform(0, 3)
    gw.io.start()


def any_directions(rng):
    return rng.choice([("in", "out")] * 3 + [("in",), ("out",)])


def cut(networks, how="drop", longest=12.0):
    def fault(world, rng):
        gw = rng.choice(world.gateways)
        directions = any_directions(rng) if how == "drop" else ("in", "out")
        world.network.cut(gw.name, networks, how, directions)
        yield mostly_short(rng, longest)
        world.network.heal(gw.name)
    return fault


def cut_front_and_peers(world, rng):
    """No initiator and no gateway reaches it, but it reaches the cluster: it gives its LUNs away through the store."""
    if rng.random() < 0.5:  # before that, healed at any point of the way there
        yield from cut(["front", "peers"])(world, rng)
    gw = rng.choice(world.gateways)
    world.network.cut(gw.name, ["front", "peers"], directions=any_directions(rng))
    world.wait_served(world.others(gw))
    world.network.heal(gw.name)


def cut_one_osd(world, rng):
    """The monitors answer that gateway, and the other OSDs; with its rows on that OSD it looks stalled, else only its commands hang."""
    gw = world.owner_of(rng.choice(world.disks)) or rng.choice(world.gateways)
    dump = json.loads(world.cluster.run("ceph", "osd", "dump", "--format", "json"))
    addresses = rng.choice(dump["osds"])["public_addrs"]["addrvec"]
    ports = ", ".join(a["addr"].rsplit(":", 1)[1] for a in addresses)
    world.network.inside(world.network.namespaces[gw.name], "nft", "-f", "-", input=(
        f"table inet cut {{\nchain in {{ type filter hook input priority 0; tcp sport {{ {ports} }} drop; }}\n"
        f"chain out {{ type filter hook output priority 0; tcp dport {{ {ports} }} drop; }}\n}}\n"))
    yield rng.uniform(5, 12)
    world.network.heal(gw.name)


def cut_and_freeze(world, rng):
    """Writes wait in the kernel of a stopped process, which sends them when the network is back."""
    gw = world.owner_of(rng.choice(world.disks)) or rng.choice(world.gateways)
    world.network.cut(gw.name, ["cluster"])
    yield rng.uniform(0.2, 1.5)
    gw.io.freeze()
    yield rng.uniform(5, 8)
    world.network.heal(gw.name)
    yield rng.uniform(4, 9)
    gw.io.thaw()


def osd_pause(world, rng):
    number = rng.randrange(world.osds)
    world.cluster.rig("osd-pause", number)
    yield mostly_short(rng, 10)
    world.cluster.rig("osd-resume", number)
    # With one copy of everything nobody renews the lease of an OSD that slept too long: it peers anew.
    world.cluster.run("ceph", "osd", "down", number)
    world.cluster.rig("osd-start", number)  # waits until it is up; one that has ended is started


def osd_kill(world, rng):
    number = rng.randrange(world.osds)
    world.cluster.rig("osd-kill", number)
    yield rng.uniform(0, 5)
    world.cluster.rig("osd-start", number)


def monitor_pause(world, rng):
    world.cluster.rig("mon-pause")
    yield mostly_short(rng, 12)
    world.cluster.rig("mon-resume")


def monitor_pause_and_owner_kill(world, rng):
    """Nobody can fence while the monitors have no quorum."""
    world.cluster.rig("mon-pause")
    gw = rng.choice(world.gateways)
    gw.io.kill()
    yield rng.uniform(0.5, 6)
    world.cluster.rig("mon-resume")
    gw.io.start()


def full(world, rng):
    world.cluster.rig("full", "on")
    yield rng.uniform(0.5, 3)
    world.cluster.rig("full", "off")


def outsider_fences(world, rng):
    locks = json.loads(world.cluster.run("rbd", "lock", "ls", f"rbd/{rng.choice(world.disks)}", "--format", "json"))
    locks = locks if isinstance(locks, list) else list(locks.values())
    if locks:
        world.cluster.run("ceph", "osd", "blocklist", "add", locks[0]["address"])
    yield 0


def hand_over(world, rng):
    disk = rng.choice(world.disks)
    owner = world.owner_of(disk)
    to = rng.choice([gw for gw in world.gateways if gw is not owner])
    worlds.move(rng.choice(world.gateways), disk, to)
    wait_for(lambda: world.owner_of(disk) is to, f"{disk} at {to.name}", worlds.CONVERGE_S)
    yield 0


def drain(world, rng):
    gw, through = rng.choice(world.gateways), rng.choice(world.gateways)
    worlds.drain(through, gw)
    yield rng.uniform(0, 3)
    worlds.undrain(through, gw)


def paths_dropped(world, rng):
    """Initiators give up connections with commands in flight, and log in again."""
    for _ in range(rng.randrange(1, 30)):
        world.driver.say("drop")
        yield rng.uniform(0, 0.1)


def any_jump(rng):
    """A minute, more than the life of a ticket of cephx, a day, a year, more than a fence lasts."""
    return rng.choice((60, 3700, 86400, 366 * 86400, 12 * 366 * 86400)) * rng.uniform(1, 1.6) * rng.choice((-1, 1))


def clock_jumps(world, rng):
    """The time of day of one gateway jumps, and may stay there."""
    gw = rng.choice(world.gateways)
    world.clocks[gw.name].jump(any_jump(rng))
    yield rng.uniform(0, 3)
    if rng.random() < 0.5:
        world.clocks[gw.name].jump(0)


def clocks_jump_and_owner_kill(world, rng):
    """Who takes over and who comes back have times of their own."""
    for clock in world.clocks.values():
        clock.jump(any_jump(rng))
    yield from owner_kill(world, rng)


# name: fault, how often it is drawn
FAULTS = {
    "kill": (gateway_kill, 3),
    "kill the owner": (owner_kill, 3),
    "kill two": (two_kills, 2),
    "kill all": (all_killed, 1),
    "freeze": (freeze, 3),
    "freeze shortly": (freeze_short, 3),
    "stop and start": (graceful_stop, 3),
    "cut front": (cut(["front"]), 2),
    "cut cluster": (cut(["cluster"]), 3),
    "cut peers": (cut(["peers"]), 3),
    "cut front and peers": (cut_front_and_peers, 2),
    "cut cluster and peers": (cut(["cluster", "peers"]), 2),
    "cut one OSD": (cut_one_osd, 1),
    "cut cluster, freeze": (cut_and_freeze, 1),
    "cut all": (cut(["front", "cluster", "peers"]), 3),
    "reset front": (cut(["front"], "reject", 3), 1),
    "reset cluster": (cut(["cluster"], "reject", 3), 1),
    "reset peers": (cut(["peers"], "reject", 3), 2),
    "pause an OSD": (osd_pause, 2),
    "kill an OSD": (osd_kill, 1),
    "pause the monitors": (monitor_pause, 2),
    "pause monitors, kill": (monitor_pause_and_owner_kill, 1),
    "full": (full, 1),
    "fenced by an outsider": (outsider_fences, 2),
    "clock jumps": (clock_jumps, 2),
    "clocks jump, kill": (clocks_jump_and_owner_kill, 2),
    "hand over": (hand_over, 3),
    "drain": (drain, 2),
    "drop paths": (paths_dropped, 2),
}
# What needs a world at rest: it asks the API, or ends what must end well.
CALM = ("stop and start", "hand over", "drain", "fenced by an outsider")
# After these alone every instance must be what it was: nobody is fenced who lives and reaches the cluster.
HARMLESS = ("cut front", "cut peers", "cut front and peers", "reset front", "reset peers", "hand over", "drain", "drop paths")
