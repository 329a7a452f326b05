#!/usr/bin/env python3
"""Two gateways in namespaces of their own, on a real Ceph cluster: the walk-through as a person types
it, data both ways, restarts, kills, and what is missing or broken."""
import contextlib
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import (BIN, CLIENT, IQN, Cluster, Failure, Gateway, Network, case, expect, expect_eq, prefix_of, run,
                     status_of, tail, wait_for)

NAMES = {"ceph-gw-1": "10.77.0.1", "ceph-gw-2": "10.77.0.2"}
PORT = 3260
CHAP = {"user": "myusername", "secret": "mypassword12", "target_user": "mytgtusername",
        "target_secret": "mytgtpassword"}
WALK_THROUGH = f"""cd /iscsi-targets
create {IQN}
cd {IQN}/gateways
create ceph-gw-1 10.77.0.1 skipchecks=true
create ceph-gw-2 10.77.0.2 skipchecks=true
cd /disks
create pool=rbd image=disk_1 size=90G
cd /iscsi-targets/{IQN}/hosts
create {CLIENT}
auth username={CHAP['user']} password={CHAP['secret']} mutual_username={CHAP['target_user']} \
mutual_password={CHAP['target_secret']}
disk add rbd/disk_1
ls /
"""


class Site:
    """A cluster on the hub, two gateways, and the hub as the initiators' host."""

    def __init__(self, stack, minimum_gateways=2):
        self.network = stack.enter_context(Network(NAMES))
        self.hub = prefix_of(self.network.hub)
        self.cluster = stack.enter_context(Cluster("--osds", "1", prefix=self.hub, address=self.network.hub_address))
        self.folder = stack.enter_context(harness.folder())
        environment = self.cluster.user("gw")
        self.gateways = [
            Gateway(self.folder / name, name=name, store="rados", address=address, api_port=5000, portal_port=PORT,
                    prefix=prefix_of(self.network.namespaces[name]), env=environment,
                    settings={"minimum_gateways": minimum_gateways, "ceph_config_dir": self.cluster.folder,
                              "cluster_client_name": "client.gw"})
            for name, address in NAMES.items()]
        stack.callback(self.end)

    def end(self):
        for gw in self.gateways:
            gw.kill()

    def start(self):
        for gw in self.gateways:
            gw.io.start()
            gw.api.start()
        for gw in self.gateways:
            gw.wait_ready()

    def owner(self, disk="rbd/disk_1"):
        config = self.gateways[0].call("GET", "/config")
        name = config["disks"][disk]["owner"]
        return next(gw for gw in self.gateways if gw.name == name)

    @staticmethod
    def state(gateway, disk="rbd/disk_1"):
        with contextlib.suppress(OSError, ValueError):
            return next((l["state"] for l in gateway.status()["luns"] if l["name"] == disk), None)

    def present_owner(self):
        """Who serves it now, whoever the configuration prefers."""
        return next((gw for gw in self.gateways if self.state(gw) == "ready"), None)

    def other(self, gateway):
        return next(gw for gw in self.gateways if gw is not gateway)

    def url(self, gateway, lun=0, chap=True):
        login = f"{CHAP['user']}%{CHAP['secret']}@" if chap else ""
        mutual = f"?target_user={CHAP['target_user']}&target_password={CHAP['target_secret']}" if chap else ""
        return f"iscsi://{login}{gateway.address}:{PORT}/{IQN}/{lun}{mutual}"

    @staticmethod
    def image_options(gateway, lun=0):
        return (f"driver=raw,file.driver=iscsi,file.transport=tcp,file.portal={gateway.address}:{PORT},"
                f"file.target={IQN},file.lun={lun},file.user={CHAP['user']},file.password={CHAP['secret']},"
                f"file.initiator-name={CLIENT}")

    def qemu_io(self, gateway, *commands, check=True):
        """qemu-io with mutual CHAP as the client of the walk-through."""
        options = self.image_options(gateway)
        flat = [x for c in commands for x in ("-c", c)]
        out = run(*self.hub, "qemu-io", "--image-opts", options, *flat, check=False, timeout=120)
        if check:
            expect("failed" not in out.lower() and "could not" not in out.lower(), out)
        return out

    def check_logged_in_is_seen_on_both(self):
        """A session with one gateway is shown by the shell of either."""
        session = subprocess.Popen([*self.hub, "qemu-io", "--image-opts", self.image_options(self.owner())],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            for gw in self.gateways:
                wait_for(lambda: "LOGGED-IN, Auth: CHAP_MUTUAL" in gw.gwcli("ls", "/"), f"LOGGED-IN on {gw.name}")
        finally:
            session.communicate("quit\n")

    def logs(self):
        for gw in self.gateways:
            for program in (gw.io, gw.api):
                for line in tail(program.log, 15).splitlines():
                    print(f"# {gw.name} {program.name}: {line}")


@contextlib.contextmanager
def site(started=True, **arguments):
    with contextlib.ExitStack() as stack:
        s = Site(stack, **arguments)
        try:
            if started:
                s.start()
            yield s
        except BaseException:
            s.logs()
            raise


def type_on_a_terminal(gw, lines):
    """Types each line when the shell has shown its prompt; returns all that the terminal showed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "dumb"
        os.environ.update(gw.env)
        command = [*gw.prefix, str(BIN / "gwcli"), "-c", str(gw.config)]
        os.execvp(command[0], command)
    shown = b""

    def read_until(pattern, deadline_s=60):
        nonlocal shown
        start, end = len(shown), time.monotonic() + deadline_s
        while not re.search(pattern, shown[start:]):
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Failure(f"the shell did not come back:\n{shown.decode(errors='replace')}")
            try:
                data = os.read(fd, 65536)
            except OSError:
                return
            if not data:
                return
            shown += data

    read_until(rb"/[^\n]*> $")
    for line in lines:
        os.write(fd, line.encode() + b"\n")
        read_until(rb"/[^\n]*> $")
    os.write(fd, b"exit\n")
    with contextlib.suppress(OSError):
        while data := os.read(fd, 65536):
            shown += data
    os.waitpid(pid, 0)
    return shown.decode(errors="replace")


def walk_through(s):
    shown = type_on_a_terminal(s.gateways[0], WALK_THROUGH.strip().splitlines())
    expect("fail" not in shown.lower(), shown)
    return shown


@case
def the_walk_through_works_as_typed_and_data_go_both_ways():
    with site() as s:
        shown = walk_through(s)
        expect("LOGGED" not in shown and CLIENT in shown, shown)
        # Both gateways are up and name each other.
        for gw in s.gateways:
            out = run(*s.hub, "iscsi-ls", "-i", CLIENT, f"iscsi://{gw.address}:{PORT}")
            for address in NAMES.values():
                expect(f"{address}:{PORT}" in out, out)
        owner = s.owner()
        owner.wait_lun("rbd/disk_1")
        s.other(owner).wait_lun("rbd/disk_1", "forwarded")
        # The names of these gateways do not resolve: they find each other by their portals.
        for gw in s.gateways:
            wait_for(lambda: "[Up: 2/2" in gw.gwcli("ls", "/"), f"both to be up, as {gw.name} sees it")
            tree = gw.gwcli("ls", "/")
            expect("[Up: 2/2" in tree and tree.count("(UP)") == 2 and "LOGGED-IN" not in tree, tree)
            expect(re.search(r"\[HEALTH_\w+\]", tree) and re.search(r"o- rbd \.+ \[\(x\d\), Commit: 90G/", tree), tree)
        # Each of them writes: the other one by way of the owner.
        s.qemu_io(owner, "write -P 0x66 0 64k")
        s.qemu_io(s.other(owner), "read -P 0x66 0 64k", "write -P 0x5a 0 1M")
        s.qemu_io(owner, "read -P 0x5a 0 1M")
        s.check_logged_in_is_seen_on_both()
        # iSCSI -> rbd export, and rbd -> iSCSI.
        head = s.cluster.run("sh", "-c", "rbd export rbd/disk_1 - 2>/dev/null | head -c 1048576 | "
                             "tr -d 'Z' | wc -c")
        expect_eq(head.strip(), "0", "bytes of the image that are not what iSCSI wrote")
        source = s.folder / "image.raw"
        source.write_bytes(os.urandom(4 << 20))
        s.cluster.run("rbd", "import", source, "rbd/imported")
        gw = s.gateways[0]
        gw.call("PUT", "/disk/rbd/imported", mode="create", create_image="false")
        gw.call("PUT", f"/targetlun/{IQN}", disk="rbd/imported")
        gw.call("PUT", f"/clientlun/{IQN}/{CLIENT}", disk="rbd/imported")
        owner = s.owner("rbd/imported")
        owner.wait_lun("rbd/imported")
        run(*s.hub, "qemu-img", "convert", "--image-opts", s.image_options(owner, lun=1), "-O", "raw", s.folder / "read.raw")
        expect((s.folder / "read.raw").read_bytes() == source.read_bytes(), "read back differs")


@case
def one_shot_walk_through_and_survival_of_restart_and_kill():
    with site() as s:
        gw = s.gateways[0]
        place = "/"
        for line in WALK_THROUGH.strip().splitlines():
            words = line.split()
            if words[0] == "cd":
                place = words[1] if words[1].startswith("/") else f"{place}/{words[1]}"
            elif words[0] != "ls":
                gw.gwcli(place, *words) if words[0] not in ("auth", "disk") else \
                    gw.gwcli(f"{place}/{CLIENT}", *words)
        before = gw.call("GET", "/config")
        for pattern, end in (("0x11", Gateway.stop), ("0x22", Gateway.kill), ("0x33", Gateway.kill)):
            owner = wait_for(lambda: s.present_owner(), "an owner")
            s.qemu_io(owner, f"write -P {pattern} 1M 256k")
            end(owner)
            started = time.monotonic()
            owner.start()
            wait_for(lambda: s.present_owner(), "an owner again")
            took = time.monotonic() - started
            expect(took < 20, f"{took:.1f} s until the LUN was there again: a dead lock must be broken, not waited for")
            for gateway in s.gateways:
                wait_for(lambda: s.state(gateway) in ("ready", "forwarded"), f"the LUN at {gateway.name}")
                s.qemu_io(gateway, f"read -P {pattern} 1M 256k")
        after = gw.call("GET", "/config")
        expect_eq(after["targets"], before["targets"], "configuration")
        for gateway in s.gateways:
            gateway.stop()


@case
def a_resize_is_seen_whoever_made_it():
    with site() as s:
        walk_through(s)
        owner = s.owner()
        owner.wait_lun("rbd/disk_1")

        def capacity():
            # iscsi-readcapacity16 knows no mutual CHAP by URL in every version: ask through qemu.
            return s.qemu_io(owner, "length")
        expect("90 GiB" in capacity(), capacity())
        s.gateways[0].call("PUT", "/disk/rbd/disk_1", mode="resize", size="91G")
        expect("91 GiB" in capacity(), capacity())
        s.cluster.run("rbd", "resize", "--size", "92G", "rbd/disk_1")
        wait_for(lambda: "92 GiB" in capacity(), "the new size")


@case
def a_full_cluster_refuses_writes_at_once_and_reads_go_on():
    with site() as s:
        walk_through(s)
        owner = s.owner()
        owner.wait_lun("rbd/disk_1")
        s.qemu_io(owner, "write -P 0x77 0 1M")
        s.cluster.rig("full", "on")

        def refused():
            """OSDs learn of it from the monitors in a moment; from then on it is said at once."""
            started = time.monotonic()
            out = s.qemu_io(owner, "write -P 0x78 512M 1M", check=False)
            expect(time.monotonic() - started < 60, f"a write to a full cluster hangs: {out}")
            return "wrote" not in out
        wait_for(refused, "a write to a full cluster to be refused")
        s.qemu_io(owner, "read -P 0x77 0 1M")
        s.cluster.rig("full", "off")
        wait_for(lambda: "wrote" in s.qemu_io(owner, "write -P 0x79 512M 1M", check=False), "writes again")


@case
def what_is_missing_is_waited_for_and_said_and_harms_nothing_else():
    with site(started=False) as s:
        gw = s.gateways[0]
        s.cluster.rig("mon-pause")
        gw.io.start()
        wait_for(lambda: "waiting" in gw.io.log.read_text(), "a line that says what is waited for")
        s.cluster.rig("mon-resume")
        for program in (gw.api, s.gateways[1].io, s.gateways[1].api):
            program.start()
        for gateway in s.gateways:
            gateway.wait_ready()
        walk_through(s)
        owner = s.owner()
        owner.wait_lun("rbd/disk_1")
        # A damaged object: said, not overwritten, and what runs goes on.
        good = s.folder / "object.json"
        s.cluster.run("rados", "-p", "rbd", "get", "gateway.conf", good)
        broken = s.folder / "broken.json"
        broken.write_text("{ this is no JSON")
        s.cluster.run("rados", "-p", "rbd", "put", "gateway.conf", broken)
        owner.io.process.send_signal(1)
        wait_for(lambda: "configuration not read" in owner.io.log.read_text(), "a line about the damaged object")
        s.qemu_io(owner, "write -P 0x44 0 64k", "read -P 0x44 0 64k")
        status, body = s.gateways[0].request("PUT", "/disk/rbd/disk_9", mode="create", size="1G")
        expect(status != 200, f"a change on a damaged object: {body}")
        s.cluster.run("rados", "-p", "rbd", "get", "gateway.conf", s.folder / "still.json")
        expect_eq((s.folder / "still.json").read_text(), broken.read_text(), "the damaged object")
        s.cluster.run("rados", "-p", "rbd", "put", "gateway.conf", good)
        s.gateways[0].call("PUT", "/disk/rbd/disk_9", mode="create", size="1G")


harness.main()
