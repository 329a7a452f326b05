#!/usr/bin/env python3
"""Beside upstream gateways, on a real Ceph cluster. A librbd client plays the upstream gateway as
tcmu-runner acts: it breaks the lock when a write wants it, and opens anew when it was fenced."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import IQN, Cluster, Gateway, case, expect, expect_eq, tail, wait_for
from initiator import ACCESS_STATE_CHANGED, BUSY, GOOD, NON_OPTIMIZED, OPTIMIZED, Session

CLIENT = pathlib.Path(os.environ.get("RBDGATE_UPSTREAM_CLIENT", harness.BIN.parent.parent / "tests/ceph/upstream-client"))
PURE = IQN + "-pure"  # a target without upstream gateways
OBJECT = "gateway.conf"
COMMUNICATION_FAILURE = 0x0b0800
STANDBY = 2
BLOCK = 4096
UPSTREAM_BASE, OWN_BASE = 16 << 20, 32 << 20  # of what loops write


class Upstream:
    """A gateway of upstream, as far as the image sees it."""

    def __init__(self, cluster, image, log):
        with open(log, "a") as errors:
            self.process = subprocess.Popen([CLIENT, "rbd", image], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, text=True, bufsize=1, env=cluster.environment())
        expect_eq(self.process.stdout.readline().strip(), "open", "upstream client")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline().split()
        expect(answer, f"the upstream client ended at: {line}")
        return answer[1:]

    def state(self):
        owner, lost, opened, address = self.ask("state")
        return owner == "1", int(lost), int(opened), address

    def read(self, offset):
        return int(self.ask(f"read {offset}")[0])

    def write(self, offset, byte):
        self.ask(f"write {offset} {byte}")

    def end(self):
        self.process.kill()
        self.process.wait()


class Path(Session):
    """An initiator at one of our gateways that tries again as a kernel would."""

    def __init__(self, gateway, name="client", target=IQN, luns=(0, 1)):
        super().__init__(gateway.address, gateway.portal_port, f"iqn.1994-05.com.redhat:{name}", target=target)
        self.unknown = self.busy = 0
        for lun in luns:
            self.attentions(lun)

    def again(self, cdb, lun, **data):
        """Until it is known to be executed: a write of unknown fate is written again."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            answer = self.command(cdb, lun=lun, **data)
            if answer.status == GOOD:
                return answer.data
            expect(answer.status == BUSY or answer.sense == COMMUNICATION_FAILURE or answer.sense >> 16 == 6,
                   f"{cdb}: {answer}")
            self.busy += answer.status == BUSY
            self.unknown += answer.sense == COMMUNICATION_FAILURE
            time.sleep(0.02)  # an initiator's own pause
        raise harness.Failure(f"{cdb}: not within 30 s")

    def put(self, offset, byte, lun=0):
        lba = offset // 512
        self.again([0x2a, 0, *lba.to_bytes(4, "big"), 0, 0, BLOCK // 512], lun, out=bytes([byte]) * BLOCK)

    def get(self, offset, lun=0):
        lba = offset // 512
        data = self.again([0x28, 0, *lba.to_bytes(4, "big"), 0, 0, BLOCK // 512], lun, in_len=BLOCK)
        return data[0] if data == data[:1] * BLOCK else -1

    def look(self, lun=0):
        """What hosts do with a path that they do not use; the access states."""
        for cdb, length in (([0] * 6, 0), ([0x12, 0, 0, 0, 96], 96), ([0x25], 8), ([0x9e, 0x10, *[0] * 11, 32], 32)):
            expect_eq(self.command(cdb, in_len=length, lun=lun).status, GOOD, f"{cdb}")
        return self.states(lun)

    def states(self, lun, told=()):
        """told: what is told first."""
        ask = [0xa3, 0x0a, *[0] * 7, 255]
        for sense in told:
            expect_eq(self.command(ask, in_len=255, lun=lun).sense, sense, "told")
        answer = self.command(ask, in_len=255, lun=lun)
        expect_eq(answer.status, GOOD, "REPORT TARGET PORT GROUPS")
        return [answer.data[at] & 15 for at in range(4, 4 + int.from_bytes(answer.data[:4], "big"), 12)]


class Site:
    """Two gateways of ours, of which the second one is started by who needs it, and one of upstream that stands
    in the object only. disk_1 and disk_2 are in a target of all; disk_3 in a target of ours alone."""

    def __init__(self, stack, others=("upstream-1",)):
        self.cluster = stack.enter_context(Cluster("--osds", "1"))
        self.folder = stack.enter_context(harness.folder())
        env = self.cluster.user("gw")
        self.gateways = [
            Gateway(self.folder / name, name=name, store="rados", address=address, env=env,
                    settings={"ceph_config_dir": self.cluster.folder, "cluster_client_name": "client.gw"},
                    rbdgate={"return_after": 1})
            for name, address in (("gw-1", "127.0.0.1"), ("gw-2", "127.0.0.2"))]
        self.gw = self.gateways[0]
        for gw in self.gateways:
            stack.callback(gw.kill)
        self.gw.start()
        for target, disks in ((PURE, ("disk_3",)), (IQN, ("disk_1", "disk_2"))):
            self.gw.call("PUT", f"/target/{target}")
            self.gw.call("PUT", f"/gateway/{target}/gw-1", ip_address="127.0.0.1", skipchecks="true")
            for disk in disks:
                self.gw.call("PUT", f"/disk/rbd/{disk}", mode="create", size="64M")
                self.gw.call("PUT", f"/targetlun/{target}", disk=f"rbd/{disk}")
            self.gw.call("PUT", f"/targetauth/{target}", action="disable_acl")
        self.gw.wait_lun("rbd/disk_3")
        self.add_gateways(*others)

    def add_gateways(self, *names, first=2):
        """As upstream's API does it, in the object."""
        config = self.read_object()
        target = config["targets"][IQN]
        for number, name in enumerate(names, first):
            address = f"127.0.0.{number}"
            target["portals"][name] = {**target["portals"]["gw-1"], "portal_ip_addresses": [address],
                                       "gateway_ip_list": [*target["ip_list"], address]}
            config["gateways"][name] = {"active_luns": 0}
            target["ip_list"].append(address)
        config["disks"]["rbd/disk_2"]["owner"] = names[0]
        self.write_object(config)

    def remove_gateway(self, name):
        config = self.read_object()
        target = config["targets"][IQN]
        for address in target["portals"].pop(name)["portal_ip_addresses"]:
            target["ip_list"].remove(address)
        config["gateways"].pop(name)
        for disk in config["disks"].values():
            if disk["owner"] == name:
                disk["owner"] = "gw-1"
        self.write_object(config)

    def read_object(self):
        file = self.folder / "object.json"
        self.cluster.run("rados", "-p", "rbd", "get", OBJECT, file)
        return json.loads(file.read_text())

    def write_object(self, config):
        file = self.folder / "object.json"
        config["epoch"] += 1
        file.write_text(json.dumps(config))
        self.cluster.run("rados", "-p", "rbd", "put", OBJECT, file)
        self.cluster.run("rados", "-p", "rbd", "setxattr", OBJECT, "epoch", config["epoch"])
        self.gw.io.process.send_signal(signal.SIGHUP)

    def lun(self, number=1, gateway=None):
        return next(l for l in (gateway or self.gw).status()["luns"] if l["name"] == f"rbd/disk_{number}")

    def wait_state(self, state, number=1, gateway=None, deadline_s=30):
        wait_for(lambda: self.lun(number, gateway)["state"] == state, f"disk_{number} {state}", deadline_s)

    def owner_address(self, number=1):
        locks = json.loads(self.cluster.run("rbd", "lock", "ls", f"disk_{number}", "--format", "json"))
        locks = locks if isinstance(locks, list) else list(locks.values())
        return locks[0]["address"] if locks else None

    def kinds(self):
        events = self.gw.call("GET", "/rbdgate/history?count=1000")["events"]
        return [event["kind"] for event in events if event.get("lun") == "rbd/disk_1"]


@contextlib.contextmanager
def site(**arguments):
    with contextlib.ExitStack() as stack:
        s = None
        try:
            s = Site(stack, **arguments)
            yield s
            for gw in s.gateways:
                gw.stop()
        except BaseException:
            for gw in s.gateways if s else ():
                for line in tail(gw.io.log, 60).splitlines():
                    print(f"# {gw.name}: {line}")
            raise


@contextlib.contextmanager
def upstream(s, image="disk_1"):
    client = Upstream(s.cluster, image, s.folder / "upstream.log")
    try:
        yield client
    finally:
        client.end()


@case
def the_lock_moves_with_the_initiators_and_only_with_them():
    with site() as s, upstream(s) as other:
        # Looking at paths takes nothing, whoever is preferred; the access states are upstream's.
        for number in (1, 2):
            s.wait_state("on demand", number)
        expect_eq(s.owner_address(), None, "lock before anybody asked")
        path = Path(s.gw)
        other.write(0, 0x11)
        for _ in range(50):
            expect_eq([path.look(0), path.look(1)], [[0, 1], [1, 0]], "access states")
        expect_eq(other.state()[:3], (True, 0, 1), "upstream after we looked")
        expect(s.lun()["on_demand"].endswith("upstream-1"), s.lun())
        listing = s.gw.gwcli("ls", "/disks")
        expect("on demand: beside upstream gateways: upstream-1" in listing, listing)
        # A write of ours takes it from the living upstream gateway, which sees what it would see from another.
        fenced = other.state()[3]
        path.put(BLOCK, 0x22)
        s.wait_state("ready")
        expect(fenced in s.cluster.run("ceph", "osd", "blocklist", "ls"), "no fence")
        expect_eq([path.get(0), path.get(BLOCK)], [0x11, 0x22], "through ours")
        expect_eq(other.read(BLOCK), 0x22, "through upstream")
        ours = s.owner_address()
        expect(ours not in (None, other.state()[3]), f"lock of {ours}")
        # And back. It stays there although we look.
        other.write(2 * BLOCK, 0x33)
        expect_eq(other.state()[:3], (True, 1, 2), "upstream after it took it back")
        s.wait_state("on demand")
        for _ in range(50):
            expect_eq(path.look(), [0, 1], "access states")
        expect_eq(other.state()[:3], (True, 1, 2), "upstream after we looked again")
        expect_eq(s.lun()["ownership"], "clean", "record")
        # A dead one's is not waited for.
        owner = other.state()[3]
        other.end()
        started = time.monotonic()
        expect_eq(path.get(2 * BLOCK), 0x33, "through ours")
        print(f"# from a dead one in {time.monotonic() - started:.1f} s")
        expect(time.monotonic() - started < 25 and s.owner_address() != owner, "the 30 s of a dead one's watch were waited for")
        wait_for(lambda: s.kinds()[:3] == ["demand", "lost", "demand"], "the history, the newest first")
        path.close()


@case
def luns_beside_it_do_not_notice_and_a_fight_is_bounded():
    with site() as s, upstream(s) as other:
        s.wait_state("on demand")
        mine, pure = Path(s.gw), Path(s.gw, "pure", PURE, (0,))
        clients = len(clients_of(s, "gw-1"))
        pure_epoch, pauses, ended = s.lun(3)["epoch"], [], threading.Event()

        def write_pure():
            count = 0
            while not ended.is_set():
                started = time.monotonic()
                pure.put(count % 1024 * BLOCK, count % 255 + 1)
                pauses.append(time.monotonic() - started)
                count += 1

        thread = threading.Thread(target=write_pure, daemon=True)
        thread.start()
        before, started = s.lun()["epoch"], time.monotonic()
        other.ask(f"loop {UPSTREAM_BASE}")
        count = 0
        while time.monotonic() < started + 12:
            mine.put(OWN_BASE + count * BLOCK, count % 255 + 1)
            count += 1
        theirs = int(other.ask("stop")[0])
        elapsed = time.monotonic() - started
        ended.set()
        thread.join(30)
        taken = s.lun()["epoch"] - before
        print(f"# {taken} times taken in {elapsed:.0f} s; {count} writes here ({mine.busy} BUSY, {mine.unknown} of "
              f"unknown fate), {theirs} there ({other.state()[1]} times lost)")
        expect(2 <= taken <= 4 + elapsed / 2, f"taken {taken} times in {elapsed:.0f} s")
        expect(theirs > 5 and count > 2, "nobody else got anything")
        # One entry stays when those that end in an hour have gone: of its last client that was fenced.
        row = s.folder / "row"
        s.cluster.run("rados", "-p", "rbd", "getomapval", f"{OBJECT}.rbdgate", "row/outsider/rbd/disk_1", row)
        expect_eq(len(json.loads(row.read_text())), 1, "outsiders that are fenced for long")
        # Nobody's data is lost, whoever reads it.
        for block in range(0, theirs):
            expect_eq(mine.get(UPSTREAM_BASE + block * BLOCK), block % 255 + 1, f"upstream's block {block}")
        for block in range(0, count):
            expect_eq(other.read(OWN_BASE + block * BLOCK), block % 255 + 1, f"our block {block}")
        # The other LUNs went on, on their own clients.
        expect_eq((pure.busy, pure.unknown, s.lun(3)["epoch"]), (0, 0, pure_epoch), "a LUN of ours alone")
        print(f"# {len(pauses)} writes beside it, the longest took {max(pauses):.2f} s")
        wait_for(lambda: len(clients_of(s, "gw-1")) == clients, f"{clients} registered clients, after some were lost")
        mine.close()
        pure.close()


def clients_of(s, gateway, kind="gateway"):
    file = s.folder / "row"
    s.cluster.run("rados", "-p", "rbd", "getomapval", f"{OBJECT}.rbdgate", f"row/{kind}/{gateway}", file)
    return json.loads(file.read_text())["clients"]


@case
def an_api_is_not_fenced_for_a_command_nor_anybody_while_a_row_is_torn_and_an_api_outlives_a_fence():
    with site() as s, upstream(s) as other:
        s.wait_state("on demand")
        path = Path(s.gw)
        other.write(0, 0x51)
        address = other.state()[3]
        # A registration that may name it; and as if the API of a gateway made a snapshot of it.
        rows = {"row/gateway/torn": "{", "row/api/elsewhere": json.dumps({"clients": [address]})}
        for key, text in rows.items():
            s.cluster.run("rados", "-p", "rbd", "setomapval", f"{OBJECT}.rbdgate", key, text)
            answer = path.command([0x2a, 0, 0, 0, 0, 8, 0, 0, 8], out=bytes(BLOCK))
            expect(answer.status != GOOD, answer)
            expect_eq((other.state()[:2], s.owner_address()), ((True, 0), address), key)
            expect(address not in s.cluster.run("ceph", "osd", "blocklist", "ls"), f"fenced: {key}")
        for key in rows:
            s.cluster.run("rados", "-p", "rbd", "rmomapkey", f"{OBJECT}.rbdgate", key)
        path.put(BLOCK, 0x52)
        expect_eq(path.get(0), 0x51, "through ours")
        # Our own API, fenced by an outsider: one request fails, and with a new client it serves again.
        api, = clients_of(s, "gw-1", "api")
        s.cluster.run("ceph", "osd", "blocklist", "add", api)

        def serves():
            try:
                return clients_of(s, "gw-1", "api") != [api] and s.gw.request("GET", "/disks")[0] == 200
            except OSError:
                return False  # it connects anew

        wait_for(lambda: s.gw.request("GET", "/disks")[0] == 503, "an API that notices it")
        wait_for(serves, "an API with a new client")
        s.gw.call("PUT", "/disk/rbd/disk_1", mode="resize", size="128M")
        path.close()


@case
def gateways_of_ours_forward_to_the_one_that_has_it_and_the_last_upstream_one_ends_it():
    with site(others=("gw-2", "upstream-1")) as s, upstream(s) as other:
        first, second = s.gateways
        second.start()
        for gw in s.gateways:
            s.wait_state("on demand", gateway=gw)
        a, b = Path(first), Path(second)
        a.put(0, 0x41)
        s.wait_state("forwarded", gateway=second)
        b.put(BLOCK, 0x42)
        expect_eq(s.lun()["state"], "ready", "the first one, after a write through the second")
        # Upstream breaks it; who is asked next takes it, and the other one forwards.
        other.write(2 * BLOCK, 0x43)
        for gw in s.gateways:
            s.wait_state("on demand", gateway=gw)
        b.put(3 * BLOCK, 0x44)
        s.wait_state("forwarded", gateway=first)
        expect_eq([a.get(at * BLOCK) for at in range(4)], [0x41, 0x42, 0x43, 0x44], "through the first")
        # Its owner dies: a command is needed here as well, but then it is fenced and taken as ever.
        second.kill()
        a.put(4 * BLOCK, 0x45)
        s.wait_state("ready")
        expect_eq([other.read(at * BLOCK) for at in range(5)], [0x41, 0x42, 0x43, 0x44, 0x45], "through upstream")
        # The upstream gateway is migrated: its name registers.
        epoch = s.lun()["epoch"]
        third = Gateway(s.folder / "upstream-1", name="upstream-1", store="rados", address="127.0.0.3", env=first.env,
                        settings={"ceph_config_dir": s.cluster.folder, "cluster_client_name": "client.gw"})
        s.gateways.append(third)
        try:
            third.start()
            second.start()
            wait_for(lambda: [s.lun(1, gw)["state"] for gw in s.gateways].count("ready") == 1 and
                     [s.lun(2, gw)["state"] for gw in s.gateways].count("ready") == 1, "owners of both without a command")
            # Each learns for itself who has registered.
            wait_for(lambda: all(s.lun(n, gw)["on_demand"] == "" for n in (1, 2) for gw in s.gateways), "nobody on demand")
            expect(s.lun()["epoch"] > epoch, "it is on a shared client now, so it was taken anew")
            expect_eq(a.get(4 * BLOCK), 0x45, "after that")
            b.close()
            a.close()
        finally:
            third.stop()
            s.gateways.remove(third)


class Writer:
    """Writes through one gateway, and writes what was refused again, until the session ends."""

    def __init__(self, gateway, name="alone"):
        self.path, self.count, self.failure = Path(gateway, name), 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.path.put(OWN_BASE + self.count % 256 * BLOCK, self.count % 255 + 1)
                self.count += 1
        except OSError:
            pass  # its gateway has gone
        except harness.Failure as failure:
            self.failure = failure


@case
def who_has_no_other_path_writes_until_its_gateway_has_stopped():
    with site(others=("gw-2", "upstream-1")) as s, upstream(s) as other:
        first, second = s.gateways
        second.start()
        for gw in s.gateways:
            s.wait_state("on demand", gateway=gw)
        writer = Writer(first)
        wait_for(lambda: writer.count > 20, "writes")
        first.io.stop()
        writer.thread.join(30)
        expect(writer.failure is None, f"after {writer.count} writes: {writer.failure}")
        last = writer.count - 1
        expect_eq(other.read(OWN_BASE + last % 256 * BLOCK), last % 255 + 1, "through upstream")
        first.io.start()
        first.wait_ready()
        expect_eq(s.lun()["ownership"], "clean", "record")


@case
def a_gateway_of_ours_whose_row_is_removed_is_an_upstream_one_at_once():
    with site(others=("gw-2",)) as s:
        first, second = s.gateways
        second.start()
        s.wait_state("ready")
        second.stop()
        expect_eq(s.lun()["on_demand"], "", "while it is one of ours")
        s.cluster.run("rados", "-p", "rbd", "rmomapkey", f"{OBJECT}.rbdgate", "row/gateway/gw-2")
        s.wait_state("on demand")
        with upstream(s) as other:
            path = Path(first)
            path.put(0, 0x61)
            other.write(BLOCK, 0x62)
            s.wait_state("on demand")
            expect_eq([path.get(0), path.get(BLOCK)], [0x61, 0x62], "through ours")
            path.close()
        second.start()
        wait_for(lambda: s.lun()["on_demand"] == "", "it is one of ours again")


@case
def an_upstream_gateway_that_joins_the_target_finds_its_disks_on_demand():
    with site(others=("gw-2",)) as s, upstream(s) as other:
        first, second = s.gateways
        second.start()
        for gw, state in ((first, "ready"), (second, "forwarded")):
            s.wait_state(state, gateway=gw)
        paths = [Path(gw) for gw in s.gateways]
        for path in paths:
            expect_eq(path.states(0), [OPTIMIZED, NON_OPTIMIZED], "before")
        writers = [Writer(gw, f"alone-{gw.name}") for gw in s.gateways]
        wait_for(lambda: all(writer.count > 20 for writer in writers), "writes")
        s.add_gateways("upstream-1", first=3)
        wait_for(lambda: all(s.lun(gateway=gw)["on_demand"] for gw in s.gateways), "on demand")
        for path in paths:
            expect_eq(path.states(0, [ACCESS_STATE_CHANGED]), [OPTIMIZED, NON_OPTIMIZED, NON_OPTIMIZED], "after")
        for byte in range(1, 6):
            other.write(0, byte)
            count = [writer.count for writer in writers]
            wait_for(lambda: all(writer.count > was + 5 for writer, was in zip(writers, count)), "writes")
            expect_eq([writer.failure for writer in writers], [None, None], "failures")
        for path in paths:
            expect_eq((path.get(0), path.states(0)), (5, [OPTIMIZED, NON_OPTIMIZED, NON_OPTIMIZED]), path)


@case
def an_upstream_gateway_that_leaves_the_target_is_not_fenced_while_it_has_the_lock():
    with site() as s, upstream(s) as other:
        s.wait_state("on demand")
        path = Path(s.gw)
        other.write(0, 0x71)
        s.remove_gateway("upstream-1")
        s.wait_state("ready", 2)
        s.wait_state("standby")
        changed = [ACCESS_STATE_CHANGED]
        wait_for(lambda: path.command([0] * 6).sense == ACCESS_STATE_CHANGED, "another state than optimized")
        expect_eq([path.states(0), path.states(1, changed)], [[STANDBY], [OPTIMIZED]], "access states")
        address, opened, end = other.state()[3], other.state()[2], time.monotonic() + 10
        while time.monotonic() < end:
            other.write(BLOCK, 0x72)
            expect_eq(path.command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], in_len=512).sense, 0x02040b, "a read")
        expect_eq(other.state(), (True, 0, opened, address), "upstream")
        expect(address not in s.cluster.run("ceph", "osd", "blocklist", "ls"), "it was fenced")
        other.process.stdin.close()  # it closes the image
        s.wait_state("ready")
        expect_eq([path.get(0), path.get(BLOCK)], [0x71, 0x72], "through ours")
        expect_eq(path.states(0), [OPTIMIZED], "access states")
        path.close()


harness.main()
