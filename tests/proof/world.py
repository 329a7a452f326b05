"""The world of the proof: a Ceph cluster, gateways and initiators as hosts of their own, joined by
three networks (front: initiators; cluster: Ceph; peers: interconnect), each of which can be cut at
each gateway alone; and the driver that works on the gateways' LUNs."""
import contextlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import IQN, Cluster, Failure, Gateway, Network, expect, prefix_of, run, tail, wait_for

PROOF = pathlib.Path(os.environ.get("RBDGATE_PROOF", harness.BIN.parent.parent / "tests/proof"))
PORT = 3260
NETWORKS = {"front": "10.77.0", "cluster": "10.78.0", "peers": "10.79.0"}
DISK_BYTES = "128M"


class Clock:
    """The time of day of one gateway's processes, as clock.c gives it to them."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "clock"
        self.jump(0)

    def jump(self, seconds):
        """Seconds ahead of the true time; in place, for it is mapped."""
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("=q", int(seconds)))

    def environment(self):
        options = os.environ.get("ASAN_OPTIONS", "")
        library = (PROOF / "libproof-clock.so").resolve(strict=True)
        return {"LD_PRELOAD": str(library), "RBDGATE_PROOF_CLOCK": str(self.file),
                "ASAN_OPTIONS": f"{options}{':' if options else ''}verify_asan_link_order=0"}


class Networks(Network):
    """One bridge for each network; a gateway has an interface in each, named as the network."""

    def __init__(self, gateways):
        super().__init__({})
        self.gateways = gateways

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.hub)
            self.inside(self.hub, "ip", "link", "set", "lo", "up")
            for network, address in NETWORKS.items():
                self.inside(self.hub, "ip", "link", "add", network, "type", "bridge")
                self.inside(self.hub, "ip", "addr", "add", f"{address}.254/24", "dev", network)
                self.inside(self.hub, "ip", "link", "set", network, "up")
            self.add_host("init", 200, ["front"])
            for number, name in enumerate(self.gateways, 1):
                self.add_host(name, number, NETWORKS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def add_host(self, host, number, networks):
        namespace = self.namespaces[host] = f"{self.tag}-{host}"
        run("ip", "netns", "add", namespace)
        self.inside(namespace, "ip", "link", "set", "lo", "up")
        for network in networks:
            port = f"{network[0]}{number}"
            self.inside(self.hub, "ip", "link", "add", port, "type", "veth", "peer", "name", network, "netns", namespace)
            self.inside(self.hub, "ip", "link", "set", port, "master", network, "up")
            self.inside(namespace, "ip", "addr", "add", f"{NETWORKS[network]}.{number}/24", "dev", network)
            self.inside(namespace, "ip", "link", "set", network, "up")

    def cut(self, host, networks, how="drop", directions=("in", "out")):
        """Packets vanish, or connections are reset; until healed."""
        verdict = {"drop": "drop", "reject": "meta l4proto tcp reject with tcp reset"}[how]
        chains = []
        for direction in directions:
            rules = " ".join(f"{direction[0] if direction == 'in' else 'o'}ifname {n} {verdict};" for n in networks)
            hook = {"in": "input", "out": "output"}[direction]
            chains.append(f"chain {direction} {{ type filter hook {hook} priority 0; {rules} }}")
        self.inside(self.namespaces[host], "nft", "-f", "-", input="\n".join(["table inet cut {", *chains, "}\n"]))

    def heal(self, host):
        self.inside(self.namespaces[host], "nft", "flush", "ruleset")


class Driver:
    """proof-driver, told what to do line by line."""

    def __init__(self, prefix, history, portals, *options):
        command = [*prefix, PROOF / "proof-driver", "--history", history, "--target", IQN, *options]
        for portal in portals:
            command += ["--portal", portal]
        self.history = history
        self.log = open(f"{history}.log", "w")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def mark(self, text):
        self.say(f"mark {text}")

    def reset(self):
        self.say("reset")

    def status(self):
        self.say("status")
        line = self.process.stdout.readline()
        expect(line, f"the driver ended: {tail(self.history + '.log')}")
        return json.loads(line)

    def finish(self, timeout=150):
        """The last reads; returns the last status."""
        out, _ = self.process.communicate("quit\n", timeout=timeout)
        self.log.close()
        expect(self.process.returncode == 0,
               f"the driver ended with {self.process.returncode}: {tail(self.history + '.log')}")
        return json.loads(out.splitlines()[-1])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class World:
    def __init__(self, stack, gateways=2, luns=4, osds=2, program="rbd-target-io", environment=None, settings=None):
        self.names = [f"gw-{n}" for n in range(1, gateways + 1)]
        self.disks = [f"disk_{n}" for n in range(luns)]
        self.network = stack.enter_context(Networks(self.names))
        self.hub = prefix_of(self.network.hub)
        self.cluster = stack.enter_context(
            Cluster("--osds", osds, prefix=self.hub, address=f"{NETWORKS['cluster']}.254"))
        self.osds = osds
        self.folder = stack.enter_context(harness.folder())
        user = self.cluster.user("gw")
        user.update(environment or {})
        self.gateways, self.clocks = [], {}
        for number, name in enumerate(self.names, 1):
            clock = self.clocks[name] = Clock(self.folder / name)
            gw = Gateway(self.folder / name, name=name, store="rados", address=f"{NETWORKS['front']}.{number}",
                         api_port=5000, portal_port=PORT, prefix=prefix_of(self.network.namespaces[name]), env={**user, **clock.environment()},
                         settings={"minimum_gateways": 1, "ceph_config_dir": self.cluster.folder,
                                   "cluster_client_name": "client.gw"},
                         rbdgate={"interconnect_address": f"{NETWORKS['peers']}.{number}", **(settings or {})})
            gw.io.command[gw.io.command.index(str(harness.BIN / "rbd-target-io"))] = str(harness.BIN / program)
            self.gateways.append(gw)
        stack.callback(self.end)

    def end(self):
        for gw in self.gateways:
            with contextlib.suppress(ProcessLookupError):
                gw.io.process and gw.io.process.send_signal(signal.SIGCONT)
            gw.kill()

    def start(self):
        """Gateways up, the target made, all LUNs served."""
        for gw in self.gateways:
            gw.io.start()
            gw.api.start()
        for gw in self.gateways:
            gw.wait_ready()
        first = self.gateways[0]
        first.call("PUT", f"/target/{IQN}")
        for gw in self.gateways:
            first.call("PUT", f"/gateway/{IQN}/{gw.name}", ip_address=gw.address, skipchecks="true")
        for disk in self.disks:
            first.call("PUT", f"/disk/rbd/{disk}", mode="create", size=DISK_BYTES)
            first.call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")
        first.call("PUT", f"/targetauth/{IQN}", action="disable_acl")

    def drive(self, *options, through=None, name="history"):
        gateways = through or self.gateways
        return Driver(prefix_of(self.network.namespaces["init"]), str(self.folder / name),
                      [f"{gw.address}:{PORT}" for gw in gateways], *map(str, options))

    def owner(self, disk):
        """The gateway that serves the disk now, by asking each; None if none does."""
        for gw in self.gateways:
            with contextlib.suppress(OSError, ValueError, KeyError, StopIteration):
                if next(l for l in gw.status()["luns"] if l["name"] == f"rbd/{disk}")["state"] == "ready":
                    return gw
        return None

    def logs(self, lines=40):
        with contextlib.suppress(Failure, subprocess.TimeoutExpired):
            print("# " + self.cluster.run("ceph", "-s", timeout=20).replace("\n", "\n# "), flush=True)
        for gw in self.gateways:
            with contextlib.suppress(OSError, ValueError):
                print(f"# {gw.name}: {gw.status()['luns']}")
            for line in tail(gw.io.log, 10 * lines).splitlines()[-lines:]:
                print(f"# {gw.name}: {line}", flush=True)


@contextlib.contextmanager
def world(**arguments):
    with contextlib.ExitStack() as stack:
        yield World(stack, **arguments)


def move(through, disk, to):
    """Makes a gateway the owner of a disk, now and for later."""
    through.call("PUT", f"/rbdgate/owner/rbd/{disk}", owner=to.name)


def drain(through, gw):
    through.call("PUT", f"/rbdgate/maintenance/{gw.name}", force="true")


def undrain(through, gw):
    through.call("DELETE", f"/rbdgate/maintenance/{gw.name}")


def served_everywhere(driver, luns, hosts):
    """Every LUN answers through every path to these hosts, since the gauge was reset."""
    paths = {p["host"]: p for p in driver.status()["paths"]}
    return all(paths[host]["luns_served"] == luns for host in hosts)
