#!/usr/bin/env python3
"""Two gateways on a real Ceph cluster, and a guest with the Linux kernel's initiator, dm-multipath set up as
Ceph's documentation says, ext4 and fio on it: what happens to the gateways must not be seen in the file system.
The guest's script asks for each fault in a line and reports each step in one; each step is a case here."""
import contextlib
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway_site
import harness
from harness import CLIENT, IQN, Failure, Network, case, run, tail, wait_for

HERE = pathlib.Path(__file__).resolve().parent
RIG = HERE.parent / "rigs" / "vm" / "vm-rig"
HOSTS = {"ceph-gw-1": "10.77.0.1", "ceph-gw-2": "10.77.0.2"}
DISK = "rbd/disk_1"
TIME_LIMIT_S = 480  # on a busy machine; 200 at rest
STEPS = ("both_paths_with_the_right_priorities", "survives_hand_over", "survives_stop_and_start",
         "survives_stop_of_the_owner_that_io_enters", "survives_kill_of_the_owner", "survives_pulled_front",
         "fio_verified", "file_system_clean", "no_error_reached_the_file_system", "one_path_goes_on_after_a_restart",
         "one_path_goes_on_after_a_stop")


def front_of(address):
    """The initiators' network; the other one is for the cluster and between the gateways."""
    return address.replace("10.77.", "10.78.")


class Site(gateway_site.Site):
    def __init__(self, stack):
        self.down = []
        network = stack.enter_context(Network(HOSTS))
        self.add_front(network)
        super().__init__(stack, network, {name: front_of(address) for name, address in HOSTS.items()}, ["disk_1"],
                         settings={"minimum_gateways": 2})

    def add_front(self, network):
        inside = network.inside
        inside(network.hub, "ip", "link", "add", "front", "type", "bridge")
        inside(network.hub, "ip", "addr", "add", f"{front_of(network.hub_address)}/24", "dev", "front")
        inside(network.hub, "ip", "link", "set", "front", "up")
        for name, address in HOSTS.items():
            namespace = network.namespaces[name]
            inside(network.hub, "ip", "link", "add", self.cable(name), "type", "veth", "peer", "name", "eth1",
                   "netns", namespace)
            inside(network.hub, "ip", "link", "set", self.cable(name), "master", "front", "up")
            inside(namespace, "ip", "addr", "add", f"{front_of(address)}/24", "dev", "eth1")
            inside(namespace, "ip", "link", "set", "eth1", "up")

    @staticmethod
    def cable(name):
        return f"f-{name}"

    def start(self):
        super().start()
        self.owner()

    def owner(self):
        """The gateway that serves the LUN itself."""
        return wait_for(lambda: self.owner_of("disk_1"), f"an owner of {DISK}")

    def at(self, portal):
        return next(gw for gw in self.gateways if gw.portal == portal)

    # ---- what the guest asks for ----

    def move(self):
        old = self.owner()
        new = next(gw for gw in self.gateways if gw is not old)
        new.gwcli(f"/disks/{DISK}", "owner", new.name)
        return wait_for(lambda: new if self.owner() is new else None, f"{new.name} owns {DISK}")

    def stop_owner(self):
        return self.stop(self.owner().portal)

    def stop(self, portal):
        gw = self.at(portal)
        self.down.append(gw)
        gw.io.stop()
        return gw

    def kill_owner(self):
        return self.kill(self.owner().portal)

    def kill(self, portal):
        gw = self.at(portal)
        self.down.append(gw)
        gw.io.kill()
        return gw

    def start_again(self):
        while self.down:
            self.down.pop().io.start()

    def pull_front(self, portal):
        self.network.inside(self.network.hub, "ip", "link", "set", self.cable(self.at(portal).name), "down")

    def plug_front(self):
        for name in HOSTS:
            self.network.inside(self.network.hub, "ip", "link", "set", self.cable(name), "up")

    def do(self, what, *arguments):
        """Returns the gateway that it was done to, or that owns the LUN now."""
        return {"owner": self.owner, "move": self.move, "stop-owner": self.stop_owner, "stop": self.stop,
                "kill-owner": self.kill_owner, "kill": self.kill, "start": self.start_again,
                "pull-front": self.pull_front, "plug-front": self.plug_front}[what](*arguments)


results = {}
log = []
tried = []


def run_guest(site):
    share = site.folder / "share"
    share.mkdir()
    for name in ("multipath.sh", "beat.py"):
        shutil.copy(HERE / "guest" / name, share)
    first, second = (gw.portal for gw in site.gateways)
    guest = subprocess.Popen([str(c) for c in (*site.hub, RIG, "run", "--engine", "qemu", "--cpus", "2", "--time",
                                               TIME_LIMIT_S, "--share", share, "-e", f"PORTAL1={first}", "-e",
                                               f"PORTAL2={second}", "-e", f"IQN={IQN}", "-e", f"CLIENT={CLIENT}",
                                               "--", share / "multipath.sh")],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    started, asked = time.monotonic(), 0
    for line in guest.stdout:
        log.append(f"{time.monotonic() - started:6.1f} {line.rstrip()}")
        if line.startswith(("step: ", "do: ", "gap: ", "io: ", "paths: ")):
            print(f"# {log[-1]}", flush=True)
        if line.startswith("step: ") and line.rstrip().endswith(" ok"):
            results[line.split()[1]] = True
        if line.startswith("do: "):
            asked += 1
            told = site.do(*line.split()[1:])
            print(f"# {time.monotonic() - started:6.1f} done: {told.portal if told else '-'}", flush=True)
            (share / "told").write_text(f"{told.portal}\n" if told else "")
            (share / "told").rename(share / f"done.{asked}")
    guest.wait()


def run_all():
    """One guest for all cases: its start costs more than they do."""
    if tried:
        return
    tried.append(True)
    with contextlib.ExitStack() as stack:
        site = Site(stack)
        try:
            site.start()
            run_guest(site)
            for gw in site.gateways:
                gw.stop()
            results["gateways_end_cleanly"] = True
        finally:
            for gw in site.gateways:
                log.extend(f"{gw.name}: {line}" for line in tail(gw.io.log, 40).splitlines())


def define(step):
    def test():
        run_all()
        if step not in results:
            text = "\n".join(log[-160:])
            log.clear()
            raise Failure(text or "the first that failed shows the log")
    test.__name__ = f"multipath_{step}"
    case(test)


for name in (*STEPS, "gateways_end_cleanly"):
    define(name)

run(RIG, "build", timeout=900)
harness.main()
