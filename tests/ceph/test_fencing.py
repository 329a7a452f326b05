#!/usr/bin/env python3
"""What others do to our data clients on a real Ceph cluster: fenced while idle, while writing, while
they wait for a lock; and a pool that hangs beside one that does not."""
import contextlib
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import IQN, NINE_YEARS_S, Cluster, Gateway, case, expect, expect_eq, make_target, run, tail, wait_for
from initiator import BUSY, GOOD, Session

BACK_WITHIN_S = 20  # nobody waits for the 30 s that the watch of a client lives on
POOLS, SLOW_PGS = ("rbd", "slow"), 4
WRITE_8_BLOCKS = [0x2a, 0, 0, 0, 0, 0, 0, 0, 8]
READ_8_BLOCKS = [0x28, 0, 0, 0, 0, 0, 0, 0, 8]


class Site:
    def __init__(self, stack, clients):
        self.cluster = stack.enter_context(Cluster("--osds", "1"))
        self.folder = stack.enter_context(harness.folder())
        self.cluster.run("ceph", "osd", "pool", "create", "slow", SLOW_PGS)
        self.cluster.run("rbd", "pool", "init", "slow")
        self.env = self.cluster.user("gw", *POOLS)
        self.gw = Gateway(self.folder / "gw", store="rados", env=self.env,
                          settings={"ceph_config_dir": self.cluster.folder, "cluster_client_name": "client.gw"},
                          rbdgate={"cluster_clients": clients})
        stack.callback(self.gw.kill)

    def lock(self, image):
        locks = json.loads(self.cluster.run("rbd", "lock", "ls", image, "--format", "json"))
        locks = locks if isinstance(locks, list) else list(locks.values())
        return locks[0] if locks else None

    def owner_address(self, image):
        lock = self.lock(image)
        return lock["address"] if lock else None

    def fence(self, address):
        self.cluster.run("ceph", "osd", "blocklist", "add", address)

    def row(self):
        """What the gateway has registered."""
        self.cluster.run("rados", "-p", "rbd", "getomapval", "gateway.conf.rbdgate", f"row/gateway/{self.gw.name}",
                         self.folder / "row")
        return json.loads((self.folder / "row").read_text())

    def state(self, disk):
        return next(l["state"] for l in self.gw.status()["luns"] if l["name"] == disk)

    def qemu_io(self, *commands, lun=0, timeout=60):
        flat = [x for c in commands for x in ("-c", c)]
        out = run("qemu-io", "-f", "raw", *flat, self.gw.url(lun), check=False, timeout=timeout)
        expect("failed" not in out.lower() and "could not" not in out.lower(), out)
        return out

    def hang_slow(self, hangs):
        """With less than min_size copies the PGs of the pool take no I/O, as soon as their OSD knows."""
        self.cluster.run("ceph", "osd", "pool", "set", "slow", "size", "2" if hangs else "1",
                         *([] if hangs else ["--yes-i-really-mean-it"]))
        self.cluster.run("ceph", "osd", "pool", "set", "slow", "min_size", "2" if hangs else "1")
        if hangs:
            pool = self.cluster.run("ceph", "osd", "lspools").split(" slow")[0].split()[-1]
            for pg in range(SLOW_PGS):
                wait_for(lambda: "active" not in self.pg_state(f"{pool}.{pg}"), f"{pool}.{pg} to take no I/O")

    def pg_state(self, pg):
        return json.loads(self.cluster.run("ceph", "tell", pg, "query"))["state"]


@contextlib.contextmanager
def site(clients=4, prepare=None):
    with contextlib.ExitStack() as stack:
        s = Site(stack, clients)
        try:
            if prepare:
                prepare(s)
            s.gw.start()
            yield s
            s.gw.stop()
        except BaseException:
            for program in (s.gw.io, s.gw.api):
                for line in tail(program.log).splitlines():
                    print(f"# {program.name}: {line}")
            raise


def wait_back(s, disk, old):
    started = time.monotonic()
    wait_for(lambda: s.state(disk) == "ready" and s.owner_address(disk) not in (None, old),
             f"{disk} on a new client", deadline_s=BACK_WITHIN_S)
    return time.monotonic() - started


@case
def a_fenced_client_is_replaced_whether_its_luns_are_idle_or_written():
    with site(clients=1) as s:
        make_target(s.gw, disks=("disk_1", "disk_2"), user=None)
        for disk in ("rbd/disk_1", "rbd/disk_2"):
            s.gw.wait_lun(disk)
        s.qemu_io("write -P 0x11 0 1M")
        # Idle: found out without I/O.
        old = s.owner_address("rbd/disk_1")
        s.fence(old)
        for disk in ("rbd/disk_1", "rbd/disk_2"):
            wait_back(s, disk, old)
        s.qemu_io("read -P 0x11 0 1M", "write -P 0x22 1M 1M")
        # Again and again under load: what was acknowledged is there.
        writer = subprocess.Popen(["qemu-io", "-f", "raw", s.gw.url()], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        written, next_fence = {}, time.monotonic() + 1
        fences = refused = 0
        block = 0
        while fences < 4:
            if time.monotonic() >= next_fence:
                old = s.owner_address("rbd/disk_1") or old
                s.fence(old)
                fences, next_fence = fences + 1, time.monotonic() + 2
            pattern = block % 255 + 1
            writer.stdin.write(f"write -P {pattern} {(512 + block % 2048) * 4096} 4096\n")
            line = writer.stdout.readline()
            while line and "wrote" not in line and "write failed" not in line:
                line = writer.stdout.readline()
            expect(line, "qemu-io ended")
            if "wrote" not in line:  # NOT READY: this initiator does not try again by itself
                refused += 1
                continue
            written[512 + block % 2048] = pattern
            block += 1
        print(f"# {block} writes, {refused} refused, {fences} fences")
        writer.stdin.close()
        writer.wait(30)
        wait_back(s, "rbd/disk_1", old)
        items = sorted(written.items())
        for start in range(0, len(items), 256):
            s.qemu_io(*(f"read -P {p} {b * 4096} 4096" for b, p in items[start:start + 256]))
        lines = len(s.gw.io.log.read_text().splitlines())
        expect(lines < 200, f"{lines} lines of log for {fences + 1} fences")


@case
def a_lock_that_is_taken_away_without_a_fence_costs_no_other_lun_its_client():
    with site(clients=1) as s:
        make_target(s.gw, disks=("disk_1", "disk_2"), user=None)
        for disk in ("rbd/disk_1", "rbd/disk_2"):
            s.gw.wait_lun(disk)
        client = s.owner_address("rbd/disk_1")
        expect_eq(s.owner_address("rbd/disk_2"), client, "the client of both")
        lock = s.lock("rbd/disk_1")
        s.cluster.run("rbd", "--rbd-blocklist-on-break-lock=false", "lock", "rm", "rbd/disk_1", lock["id"],
                      lock["locker"])
        # librbd looks at its lock when the header changes.
        s.cluster.run("rbd", "image-meta", "set", "rbd/disk_1", "note", "changed")
        # The cookie in it may be that of before: it is an address in the gateway.
        wait_for(lambda: s.state("rbd/disk_1") == "ready" and s.lock("rbd/disk_1"), "the lock again",
                 deadline_s=BACK_WITHIN_S)
        for disk in ("rbd/disk_1", "rbd/disk_2"):
            expect_eq(s.owner_address(disk), client, f"the client of {disk}")
        s.qemu_io("write -P 0x11 0 1M")
        s.qemu_io("write -P 0x22 0 1M", lun=1)


@case
def a_client_fenced_while_it_waits_for_a_lock_is_replaced_too():
    with site(clients=1) as s:
        s.cluster.run("rbd", "create", "--size", "64M", "rbd/taken")
        s.cluster.run("rbd", "create", "--size", "64M", "rbd/other")
        holder = subprocess.Popen(
            [sys.executable, "-c", "import sys, subprocess\n"
             "p = subprocess.Popen(['rbd', 'bench', '--io-type', 'write', '--io-size', '4096', '--io-threads', '1',"
             " '--io-total', '100G', 'rbd/taken'], stdout=subprocess.DEVNULL)\n"
             "sys.stdin.read(); p.kill(); p.wait()"], stdin=subprocess.PIPE, env=s.cluster.environment())
        try:
            wait_for(lambda: s.owner_address("rbd/taken"), "the lock of the other program")
            s.gw.call("PUT", f"/target/{IQN}")
            s.gw.call("PUT", f"/gateway/{IQN}/{s.gw.name}", ip_address=s.gw.address, skipchecks="true")
            s.gw.call("PUT", f"/targetauth/{IQN}", action="disable_acl")
            s.gw.call("PUT", "/disk/rbd/taken", mode="create", create_image="false")
            s.gw.request("PUT", f"/targetlun/{IQN}", disk="rbd/taken")
            wait_for(lambda: s.state("rbd/taken") != "opening", "a verdict on the disk")
            s.fence(wait_for(lambda: s.row()["clients"][1:], "a data client, after the control client")[0])
        finally:
            holder.stdin.close()
            holder.wait(20)
        # 30 s: the watch of the one that was killed.
        wait_for(lambda: s.state("rbd/taken") == "ready", "the disk, on a new client", deadline_s=60, interval_s=0.5)


@case
def a_gateway_whose_control_client_is_fenced_starts_anew_by_itself():
    with site(clients=1) as s:
        make_target(s.gw, disks=("disk_1",), user=None)
        s.gw.wait_lun("rbd/disk_1")
        old = s.row()["instance"]
        watchers = s.cluster.run("rados", "-p", "rbd", "listwatchers", "gateway.conf.rbdgate")
        for line in watchers.splitlines():
            s.fence(line.split("watcher=")[1].split()[0])
        wait_for(lambda: s.row()["instance"] != old, "a new life", deadline_s=30, interval_s=0.5)


@case
def a_gateway_that_was_killed_fences_what_it_was():
    with site() as s:
        make_target(s.gw, user=None)
        s.gw.wait_lun("rbd/disk_1")
        old = s.row()
        expect(len(old["clients"]) >= 2, f"the control client, and the image's: {old}")
        s.gw.io.kill()
        s.gw.io.start()
        wait_for(lambda: s.row()["instance"] != old["instance"], "a new instance")
        s.gw.wait_lun("rbd/disk_1")
        s.cluster.expect_fenced(old["clients"])


@case
def a_fence_in_debt_that_is_about_to_end_is_made_anew_by_a_gateway_that_runs():
    address = "10.9.8.7:0/4711"

    def left_s(s):
        return s.cluster.fenced_until().get(address, 0) - time.time()

    def owe(s, seconds):
        debt = json.dumps({"gateway": "gw-9", "instance": "0123456789abcdef"})
        s.cluster.run("rados", "-p", "rbd", "setomapval", "gateway.conf.rbdgate", f"row/debt/{address}", debt)
        s.cluster.run("ceph", "osd", "blocklist", "add", address, seconds)

    for seconds in (30, 60, 120):
        with site(clients=1, prepare=lambda s: owe(s, seconds)) as s:
            left = left_s(s)
            if left > NINE_YEARS_S or left <= 10:
                continue  # a start took so long that it may have made it anew
            expect(left <= seconds, f"{left:.0f} s are left of {seconds}")
            wait_for(lambda: left_s(s) > NINE_YEARS_S, "an entry that lasts", deadline_s=seconds + 30, interval_s=0.2)
            return
    raise harness.Failure("no start was quick enough")


@case
def a_pool_that_hangs_holds_up_nobody_else():
    with site() as s:
        make_target(s.gw, disks=("disk_1",), user=None)
        for i in range(20):
            s.gw.call("PUT", f"/disk/slow/slow_{i}", mode="create", size="64M")
            s.gw.call("PUT", f"/targetlun/{IQN}", disk=f"slow/slow_{i}")
        s.gw.wait_lun("slow/slow_19")
        s.hang_slow(True)
        writer = subprocess.Popen(["qemu-io", "-f", "raw", "-c", "write 0 64k", s.gw.url(1)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: any(l["in_flight"] for l in s.gw.status()["luns"]), "a write that hangs")
        finally:
            writer.kill()
            writer.wait()
        for number in (2, 3):
            started = time.monotonic()
            s.gw.call("PUT", f"/disk/rbd/disk_{number}", mode="create", size="64M")
            s.gw.request("PUT", f"/targetlun/{IQN}", disk=f"rbd/disk_{number}")
            s.gw.wait_lun(f"rbd/disk_{number}")
            print(f"# disk_{number}: {time.monotonic() - started:.1f} s")
            s.qemu_io("write -P 0x33 0 64k", "read -P 0x33 0 64k", lun=19 + number)
        s.hang_slow(False)
        wait_for(lambda: not any(l["in_flight"] for l in s.gw.status()["luns"]), "the write to end", deadline_s=60)
        s.qemu_io("write -P 0x44 0 64k", lun=1)


def insist(session, *arguments, **keywords):
    answer = session.insist(*arguments, **keywords)
    expect_eq(answer.status, GOOD, f"{answer}")
    return answer


@case
def a_login_again_behind_a_pool_that_hangs_is_accepted_and_overtakes_nothing():
    with site() as s:
        make_target(s.gw, disks=("disk_1",), user=None)
        s.gw.call("PUT", "/disk/slow/slow_0", mode="create", size="64M")
        s.gw.call("PUT", f"/targetlun/{IQN}", disk="slow/slow_0")
        for disk in ("rbd/disk_1", "slow/slow_0"):
            s.gw.wait_lun(disk)

        def login():
            session = Session(s.gw.address, s.gw.portal_port, "iqn.1994-05.test:one", isid=5)
            for lun in (0, 1):
                session.attentions(lun)
            return session

        def blocks(fill):
            return bytes([fill]) * 4096

        old = login()
        s.hang_slow(True)
        old.start(WRITE_8_BLOCKS, blocks(0x11), lun=1)
        wait_for(lambda: any(l["in_flight"] for l in s.gw.status()["luns"]), "a write that hangs")
        new = login()
        wait_for(lambda: old.dead, "the end of the old connection")
        expect_eq(new.command(WRITE_8_BLOCKS, blocks(0x33), lun=0).status, GOOD)
        expect_eq(new.command(READ_8_BLOCKS, in_len=4096, lun=0).data, blocks(0x33))
        waits = new.start(WRITE_8_BLOCKS, blocks(0x22), lun=1)
        expect_eq(new.command([0] * 6, lun=1).status, GOOD)
        expect_eq([l["in_flight"] for l in s.gw.status()["luns"] if l["name"] == "slow/slow_0"], [1])
        # Nor does an initiator that tries again and again.
        for _ in range(20):
            new.close()
            new = login()
            waits = new.start(WRITE_8_BLOCKS, blocks(0x22), lun=1)
        expect_eq([l["in_flight"] for l in s.gw.status()["luns"] if l["name"] == "slow/slow_0"], [1])
        s.hang_slow(False)
        if new.finish(waits, timeout=60).status == BUSY:
            insist(new, WRITE_8_BLOCKS, blocks(0x22), lun=1)
        wait_for(lambda: not any(l["in_flight"] for l in s.gw.status()["luns"]), "all to end", deadline_s=60)
        expect_eq(insist(new, READ_8_BLOCKS, in_len=4096, lun=1).data, blocks(0x22))
        new.close()


@case
def an_image_that_was_replaced_under_its_name_is_refused_until_the_disk_is_added_again():
    with site() as s:
        make_target(s.gw, user=None)
        s.gw.wait_lun("rbd/disk_1")
        s.qemu_io("write -P 0x51 0 1M")

        def rows():
            keys = s.cluster.run("rados", "-p", "rbd", "listomapkeys", "gateway.conf.rbdgate").split()
            return [key for key in keys if key in ("row/owner/rbd/disk_1", "row/reservation/rbd/disk_1")]

        def add(**how):
            s.gw.call("PUT", "/disk/rbd/disk_1", mode="create", **how)
            s.gw.call("PUT", f"/targetlun/{IQN}", disk="rbd/disk_1")
            s.gw.wait_lun("rbd/disk_1")

        def delete(**how):
            s.gw.call("DELETE", f"/targetlun/{IQN}", disk="rbd/disk_1")
            expect_eq(len(rows()), 2, "rows of a disk that was served")
            s.gw.call("DELETE", "/disk/rbd/disk_1", **how)
            expect_eq(rows(), [], "rows of a deleted disk")

        def outside(*commands):
            """Done to the image while the gateway is away."""
            s.gw.stop()
            for command in commands:
                s.cluster.run("rbd", *command.split())
            s.gw.start()

        def problem():
            return s.gw.status()["luns"][0]["problem"]

        # The old image is put aside and another made under its name: the LUN says so, and takes no I/O.
        outside("rename rbd/disk_1 rbd/aside", "create --size 64M rbd/disk_1")
        s.gw.wait_lun("rbd/disk_1", "failed")
        expect("was replaced by another one of the same name" in problem()
               and "Delete the disk and add it again" in problem(), problem())
        out = run("qemu-io", "-f", "raw", "-c", "write -P 0x52 0 4k", s.gw.url(), check=False, timeout=60)
        expect("wrote" not in out, out)
        # The old one is back: it is served, without anybody's help.
        s.cluster.run("rbd", "rename", "rbd/disk_1", "rbd/other")
        s.cluster.run("rbd", "rename", "rbd/aside", "rbd/disk_1")
        s.gw.wait_lun("rbd/disk_1")
        expect_eq(problem(), "", "problem")
        s.qemu_io("read -P 0x51 0 1M")
        # Removed and made anew: the disk is deleted without its image, and attached.
        outside("rm rbd/disk_1", "create --size 64M rbd/disk_1")
        s.gw.wait_lun("rbd/disk_1", "failed")
        delete(preserve_image="true")
        add(create_image="false")
        s.qemu_io("read -P 0 0 1M", "write -P 0x53 0 1M")
        # Deleted with its image, and made anew.
        delete()
        add(size="64M")
        s.qemu_io("read -P 0 0 1M")


@case
def a_demoted_image_is_unavailable_until_it_is_promoted():
    with site() as s:
        make_target(s.gw, user=None)
        s.gw.wait_lun("rbd/disk_1")
        s.cluster.run("rbd", "mirror", "pool", "enable", "rbd", "image")
        s.cluster.run("rbd", "mirror", "image", "enable", "rbd/disk_1", "snapshot")
        s.qemu_io("write -P 0x71 0 1M")
        # While it is served nobody demotes it: that needs the lock, which is not given away.
        expect(subprocess.run(["rbd", "mirror", "image", "demote", "rbd/disk_1"], env=s.cluster.environment(),
                              capture_output=True).returncode != 0, "demoted under our feet")
        s.qemu_io("write -P 0x72 0 1M")
        s.gw.stop()
        s.cluster.run("rbd", "mirror", "image", "demote", "rbd/disk_1")
        s.gw.start()
        s.gw.wait_lun("rbd/disk_1", "failed")
        expect("rbd mirror image promote" in s.gw.status()["luns"][0]["problem"], s.gw.status())
        out = run("qemu-io", "-f", "raw", "-c", "read 0 4k", s.gw.url(), check=False, timeout=60)
        expect("0x040c" in out, out)
        # It is tried again and again, less and less often: neither rows nor log grow with that.
        tries = []
        for _ in range(40):
            lun = s.gw.status()["luns"][0]
            tries.append((lun["state"], lun["epoch"], "promote" in lun["problem"]))
            time.sleep(0.1)
        expect_eq(set(tries), {tries[0]}, "nothing changes")
        s.cluster.run("rbd", "mirror", "image", "promote", "rbd/disk_1")
        s.gw.wait_lun("rbd/disk_1")
        s.qemu_io("read -P 0x72 0 1M", "write -P 0x73 0 1M")
        # What is only opened anew is not given back and taken each time: the history would be full of it.
        events = s.gw.call("GET", "/rbdgate/history")["events"]
        expect_eq([e["kind"] for e in events].count("hand-over"), 1, "the stop alone gave it back")


harness.main()
