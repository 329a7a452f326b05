#!/usr/bin/env python3
"""A disk is rolled back to a snapshot, on a real Ceph cluster: never under a host, and to the end by whoever is left
when a gateway or the API dies in the middle (docs/availability.md)."""
import contextlib
import functools
import json
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway_site
import harness
from gateway_site import PORT
from harness import IQN, Network, case, expect, expect_eq, run, wait_for
from initiator import READ_ONE, Session

IN_PROGRESS = 0x020407
DONE = "disk snapshot rolled back to snapshot"
ROWS = "gateway.conf.rbdgate"
HOLD = pathlib.Path(os.environ.get("RBDGATE_TEST_LIBRARIES", harness.BIN.parent.parent / "tests/ceph")) / "libhold.so"


class Site(gateway_site.Site):
    def __init__(self, stack, disks, osds=1):
        names = {f"gw-{n}": f"10.77.0.{n}" for n in (1, 2)}
        super().__init__(stack, stack.enter_context(Network(names)), names, disks, osds=osds,
                         rbdgate={"return_after": 5})

        self.holds = self.folder / "hold"  # where an API is to wait (hold.c)
        self.holds.mkdir()
        for gw in self.gateways:
            gw.api.env = {**gw.env, "RBDGATE_HOLD": str(self.holds), "LD_PRELOAD": str(HOLD.resolve(strict=True)),
                          "ASAN_OPTIONS": ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))}

    def qemu_io(self, gateway, *commands, n=0):
        flat = [x for c in commands for x in ("-c", c)]
        out = run(*self.hub, "qemu-io", "-f", "raw", *flat, f"iscsi://{gateway.address}:{PORT}/{IQN}/{n}")
        expect("failed" not in out.lower() and "could not" not in out.lower(), out)

    def session(self, gateway):
        return Session(gateway.address, PORT, "iqn.1994-05.test:one", namespace=self.network.hub)

    def wait_settled(self, disk):
        wait_for(lambda: sorted(self.state_at(gw, disk) for gw in self.gateways) == ["forwarded", "ready"],
                 f"one owner of {disk}", deadline_s=60)

    def roll_back(self, gateway, disk, snapshot="before"):
        return gateway.request("PUT", f"/disksnap/rbd/{disk}/{snapshot}", timeout=300, mode="rollback")

    @contextlib.contextmanager
    def held(self, gateway, call, disk="disk_0"):
        """An API that is asked for a rollback stops before this call of librbd, until the block ends; gives a function that
        waits for its answer after that."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.roll_back(gateway, disk)), daemon=True)
        (self.holds / call).touch()
        thread.start()
        try:
            wait_for((self.holds / f"{call}.held").exists, f"the API before {call}")

            def answer():
                thread.join(60)
                expect(answers, "no answer of the API")
                return answers[0]
            yield answer
        finally:
            (self.holds / call).unlink()

    def leave_row(self, disk, state):
        """As an API leaves it that dies."""
        row = self.folder / "row"
        row.write_text(json.dumps({"snapshot": "before", "state": state, "token": "t", "at": 1}))
        self.cluster.run("sh", "-c", f"rados -p rbd setomapval {ROWS} row/rollback/rbd/{disk} < {row}")

    def row(self, disk):
        keys = self.cluster.run("rados", "-p", "rbd", "listomapkeys", ROWS).split()
        if f"row/rollback/rbd/{disk}" not in keys:
            return None
        self.cluster.run("rados", "-p", "rbd", "getomapval", ROWS, f"row/rollback/rbd/{disk}", self.folder / "row")
        return json.loads((self.folder / "row").read_text())


site = functools.partial(gateway_site.running, Site)


def snap(s, disk="disk_0", n=0):
    """Old data below, new data in their place and where the image had no objects."""
    s.wait_settled(disk)
    s.qemu_io(s.gateways[0], "write -P 0x11 0 1M", n=n)
    s.gateways[0].call("PUT", f"/disksnap/rbd/{disk}/before", mode="create")
    s.qemu_io(s.gateways[1], "write -P 0x22 0 1M", "write -P 0x33 16M 1M", "read -P 0x33 16M 1M", n=n)


def expect_old(s, gateways=None, n=0):
    for gw in gateways or s.gateways:
        s.qemu_io(gw, "read -P 0x11 0 1M", "read -P 0 16M 1M", n=n)


@case
def a_rollback_waits_for_the_last_host_to_log_out_and_all_paths_read_the_old_data():
    with site(["disk_0"]) as s:
        snap(s)
        for gw in s.gateways:
            for other in s.gateways:
                session = s.session(other)
                session.attentions()
                expect_eq(s.roll_back(gw, "disk_0"),
                          (400, {"message": f"failed to deactivate disk: failed on {other.name}. "
                                            "deactivate failed - LUN disk_0 in-use"}), "logged in")
                expect_eq(session.command(READ_ONE, in_len=512).status, 0, "a read of who is logged in")
                session.close()
                wait_for(lambda: not other.status()["sessions"], "the session to end")
        expect_eq(s.roll_back(s.gateways[0], "disk_0", "none"), (404, {"message": "snapshot none does not exist"}), "none")
        s.qemu_io(s.gateways[0], "read -P 0x22 0 1M", "read -P 0x33 16M 1M")
        for gw in s.gateways:
            began = time.monotonic()
            expect_eq(s.roll_back(gw, "disk_0"), (200, {"message": DONE}), f"at {gw.name}")
            print(f"# rolled back in {time.monotonic() - began:.2f} s")
            expect_eq(s.row("disk_0"), None, "the row")
            s.wait_settled("disk_0")
            expect_old(s)
            s.qemu_io(s.gateways[1], "write -P 0x44 0 2M", "read -P 0x44 0 2M", "write -P 0x44 16M 64k")
        # A smaller one, and by the shell.
        s.gateways[0].call("PUT", "/disk/rbd/disk_0", mode="resize", size="96M")
        out = s.gateways[1].gwcli("/disks/rbd/disk_0", "snapshot", "rollback", "before")
        expect("Please be patient, rollback might take time" in out and "ok" in out, out)
        s.wait_settled("disk_0")
        expect_old(s)
        session = s.session(s.gateways[0])
        session.attentions()
        data = session.command([0x25] + [0] * 9, in_len=8).data
        expect_eq((int.from_bytes(data[:4], "big") + 1) * 512, 64 << 20, "the size")
        session.close()


@case
def without_gateways_the_api_does_it_and_a_request_whose_api_died_is_forgotten():
    with site(["disk_0"]) as s:
        snap(s)
        first = s.gateways[0]
        s.leave_row("disk_0", "asked")
        wait_for(lambda: {s.state_at(gw, "disk_0") for gw in s.gateways} == {"operation"}, "nobody to serve it")
        session = s.session(first)
        expect_eq(session.command([0] * 6).sense >> 16, 6, "power on")
        expect_eq(session.command(READ_ONE, in_len=512).sense, IN_PROGRESS, "a read meanwhile")
        wait_for(lambda: session.command(READ_ONE, in_len=512).status == 0, "reads", deadline_s=40)
        session.close()
        expect_eq(s.row("disk_0"), None, "the row")
        s.wait_settled("disk_0")
        s.qemu_io(first, "read -P 0x22 0 1M", "read -P 0x33 16M 1M")
        for gw in s.gateways:
            gw.io.stop()
        expect_eq(s.roll_back(first, "disk_0"), (200, {"message": DONE}), "without gateways")
        expect_eq(s.row("disk_0"), None, "the row")
        for gw in s.gateways:
            gw.io.start()
        s.wait_settled("disk_0")
        expect_old(s)


def serve_and_write(s, gateway):
    """It carries the rollback out that the API has ordered, hosts write after it, and then nobody has the lock."""
    gateway.io.start()
    wait_for(lambda: s.state_at(gateway, "disk_0") == "ready", "the gateway to serve it", deadline_s=90)
    expect_eq(s.row("disk_0"), None, "the row")
    expect_old(s, [gateway])
    s.qemu_io(gateway, "write -P 0x55 0 2M", "write -P 0x66 32M 1M", "read -P 0x55 0 2M", "read -P 0x66 32M 1M")
    gateway.io.stop()


def expect_written(s, gateway):
    gateway.io.start()
    wait_for(lambda: s.state_at(gateway, "disk_0") == "ready", "the gateway to serve it again")
    s.qemu_io(gateway, "read -P 0x55 0 2M", "read -P 0x66 32M 1M")


@case
def an_api_that_slept_before_it_had_the_lock_leaves_what_hosts_have_written_since():
    with site(["disk_0"]) as s:
        snap(s)
        first, other = s.gateways
        for gw in s.gateways:
            gw.io.stop()
        with s.held(first, "rados_connect") as answer:
            serve_and_write(s, other)
        expect_eq(answer(), (200, {"message": DONE}), "a gateway did it")
        expect_written(s, other)


@case
def a_gateway_that_starts_while_an_api_has_the_lock_waits_for_it():
    with site(["disk_0"]) as s:
        snap(s)
        first, other = s.gateways
        for gw in s.gateways:
            gw.io.stop()
        with s.held(first, "rbd_snap_rollback") as answer:
            other.io.start()
            wait_for(lambda: "which has its exclusive lock" in other.io.log.read_text(), "the gateway to try", deadline_s=60)
            expect_eq(s.state_at(other, "disk_0"), "standby", "what it tells")
            expect_eq(s.row("disk_0")["state"], "ordered", "the row")
        expect_eq(answer(), (200, {"message": DONE}), "somebody did it")
        wait_for(lambda: s.state_at(other, "disk_0") == "ready", "the gateway to serve it", deadline_s=60)
        expect_old(s, [other])


@case
def an_api_that_froze_with_the_lock_is_fenced_before_hosts_write():
    with site(["disk_0"]) as s:
        s.cluster.run("ceph", "tell", "osd.0", "config", "set", "osd_client_watch_timeout", 3)
        snap(s)
        first, other = s.gateways
        for gw in s.gateways:
            gw.io.stop()
        with s.held(first, "rbd_snap_rollback") as answer:
            first.api.freeze()
            serve_and_write(s, other)
        first.api.thaw()
        expect_eq(answer(), (200, {"message": DONE}), "a gateway did it")
        expect_written(s, other)


def placement(s, name):
    return json.loads(s.cluster.run("ceph", "osd", "map", "rbd", name, "--format", "json"))


def place(s, names, osd):
    for name in names:
        there = placement(s, name)
        if there["acting_primary"] != osd:
            s.cluster.run("ceph", "osd", "pg-upmap-items", there["pgid"], there["acting_primary"], osd)
    for name in names:
        wait_for(lambda name=name: placement(s, name)["acting_primary"] == osd, f"{name} at OSD {osd}", deadline_s=60)


def make_disk_with_header_beside_rows(s):
    """What taking it needs answers while the other OSD is silent, which has some of the data, and would have the object map
    if there were one."""
    rows = placement(s, ROWS)["acting_primary"]
    for n in range(64):
        name = f"disk_{n}"
        s.cluster.run("rbd", "create", "--size", "64M", "--image-feature", "exclusive-lock", f"rbd/{name}")
        image = json.loads(s.cluster.run("rbd", "info", f"rbd/{name}", "--format", "json"))["id"]
        # librbd reads rbd_info whenever it reads a header anew, in the middle of a take as well.
        needed = [ROWS, "rbd_info", f"rbd_id.{name}", f"rbd_header.{image}"]
        silent = [f"rbd_object_map.{image}", f"rbd_data.{image}.{0:016x}"]
        groups = [{placement(s, name)["pgid"] for name in names} for names in (needed, silent)]
        if not groups[0] & groups[1]:
            place(s, needed, rows)
            place(s, silent, 1 - rows)
            s.gateways[0].call("PUT", f"/disk/rbd/{name}", mode="create", create_image="false")
            s.gateways[0].call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{name}")
            return name, 1 - rows
    raise harness.Failure("no image has its header and its data in different placement groups")


def rollbacks(gateway):
    return gateway.io.log.read_text().count("rolling back to the snapshot")


@case
def what_an_api_ordered_before_it_died_is_carried_out_though_the_owner_dies_in_the_middle():
    with site([], osds=2) as s:
        disk, silent = make_disk_with_header_beside_rows(s)
        snap(s, disk)
        s.cluster.rig("osd-pause", silent)
        s.leave_row(disk, "ordered")
        wait_for(lambda: sum(map(rollbacks, s.gateways)) == 1, "the rollback", deadline_s=30)
        owner = next(gw for gw in s.gateways if rollbacks(gw))
        other = s.others(owner)[0]
        wait_for(lambda: {s.state_at(gw, disk) for gw in s.gateways} == {"operation"}, "both to know of it")
        for gw in s.gateways:
            session = s.session(gw)
            session.command([0] * 6)
            expect_eq(session.command(READ_ONE, in_len=512).sense, IN_PROGRESS, f"a read at {gw.name}")
            session.close()
        owner.io.kill()
        wait_for(lambda: rollbacks(other) == 1, "the next owner", deadline_s=60)
        expect_eq(s.state_at(other, disk), "operation", "what it tells")
        s.cluster.rig("osd-resume", silent)
        s.cluster.run("ceph", "osd", "down", silent)
        wait_for(lambda: s.state_at(other, disk) == "ready", "the end", deadline_s=60)
        expect_eq(s.row(disk), None, "the row")
        expect_old(s, [other])
        owner.io.start()
        s.wait_settled(disk)
        expect_old(s)


if __name__ == "__main__":
    harness.main()
