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
import gateway_site
import harness
from gateway_site import PORT
from harness import IQN, Failure, Network, expect, prefix_of, run, tail, wait_for

PROOF = pathlib.Path(os.environ.get("RBDGATE_PROOF", harness.BIN.parent.parent / "tests/proof"))
NETWORKS = {"front": "10.77.0", "cluster": "10.78.0", "peers": "10.79.0"}
DISK_BYTES = "128M"
CONVERGE_S = 45


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
        self.history, self.gap_ms = history, 0
        self.log = open(f"{history}.log", "w")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def mark(self, text):
        self.say(f"mark {text}")

    def reset(self, gap_ms=0):
        """The gauge begins anew; a gap of before may count."""
        self.gap_ms = gap_ms
        self.say("reset")

    def worst_gap_ms(self):
        """Since the gauge was reset, and what counts of before."""
        return max(self.gap_ms, self.status()["worst_gap_ms"])

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


class World(gateway_site.Site):
    def __init__(self, stack, gateways=2, luns=4, osds=2, program="rbd-target-io", environment=None, settings=None):
        self.addresses = {f"gw-{n}": f"{NETWORKS['front']}.{n}" for n in range(1, gateways + 1)}
        self.program, self.environment, self.clocks = program, environment or {}, {}
        super().__init__(stack, stack.enter_context(Networks(self.addresses)), self.addresses,
                         [f"disk_{n}" for n in range(luns)], size=DISK_BYTES, osds=osds,
                         cluster_address=f"{NETWORKS['cluster']}.254", settings={"minimum_gateways": 1},
                         rbdgate=settings)

    def make_gateway(self, name, address):
        clock = self.clocks[name] = Clock(self.folder / name)
        peers = address.replace(NETWORKS["front"], NETWORKS["peers"])
        gw = super().make_gateway(name, address, environment={**self.environment, **clock.environment()},
                                  rbdgate={"interconnect_address": peers})
        gw.io.command[gw.io.command.index(str(harness.BIN / "rbd-target-io"))] = str(harness.BIN / self.program)
        return gw

    def drive(self, *options, through=None, name="history"):
        gateways = through or self.gateways
        return Driver(prefix_of(self.network.namespaces["init"]), str(self.folder / name),
                      [f"{gw.address}:{PORT}" for gw in gateways], *map(str, options))

    def expect_alive(self):
        for gw in self.gateways:
            code = gw.io.process.poll() if gw.io.process else None
            expect(code is None, f"rbd-target-io of {gw.name} ended with {code}:\n{tail(gw.io.log)}")

    def wait_served(self, gateways):
        """All LUNs answer through all paths to these gateways from now on."""
        self.driver.reset(self.driver.worst_gap_ms())
        hosts = [gw.address for gw in gateways]

        def there():
            self.expect_alive()
            return served_everywhere(self.driver, len(self.disks), hosts)
        try:
            wait_for(there, f"all LUNs through {', '.join(hosts)}", CONVERGE_S, 0.05)
        except Failure as failure:
            raise Failure(f"{failure}: {self.driver.status()}") from None

    def instances(self):
        return {gw.name: gw.status()["instance"] for gw in self.gateways}

    def logs(self, lines=40):
        with contextlib.suppress(Failure, subprocess.TimeoutExpired):
            print("# " + self.cluster.run("ceph", "-s", timeout=20).replace("\n", "\n# "), flush=True)
        for gw in self.gateways:
            with contextlib.suppress(OSError, ValueError):
                print(f"# {gw.name}: {gw.status()['luns']}")
        super().logs(lines)


@contextlib.contextmanager
def world(**arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # and so ends all that it has started
    with contextlib.ExitStack() as stack:
        yield World(stack, **arguments)


def ask(through, method, path, **form):
    """As a person does: again, while the API says that the cluster does not answer it. What was cut is heard
    again when TCP tries anew, which may be as long after the cut as the cut was."""
    def done():
        status, body = through.request(method, path, **form)
        silent = status == 503 and "the Ceph cluster does not answer" in body["message"]
        expect(status == 200 or silent, f"{method} {path} {form}: {status} {body}")
        return status == 200
    wait_for(done, f"{method} {path} at {through.name}", CONVERGE_S)


def move(through, disk, to):
    """Makes a gateway the owner of a disk, now and for later."""
    ask(through, "PUT", f"/rbdgate/owner/rbd/{disk}", owner=to.name)


def drain(through, gw):
    ask(through, "PUT", f"/rbdgate/maintenance/{gw.name}", force="true")


def undrain(through, gw):
    ask(through, "DELETE", f"/rbdgate/maintenance/{gw.name}")


def served_everywhere(driver, luns, hosts):
    """Every LUN answers through every path to these hosts, since the gauge was reset."""
    paths = {p["host"]: p for p in driver.status()["paths"]}
    return all(paths[host]["luns_served"] == luns for host in hosts)
