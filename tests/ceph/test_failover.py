#!/usr/bin/env python3
"""High availability on a real Ceph cluster: gateways in namespaces of their own, commands through every
path, and gateways that die, freeze, are cut off, stop and come back (docs/availability.md)."""
import functools
import json
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway_site
import harness
from gateway_site import PORT
from harness import IQN, Network, case, expect, expect_eq, run, wait_for
from initiator import CAPACITY_CHANGED, GOOD, READ_ONE, UNAVAILABLE, Path, Session, capacity

DISKS = 4
WRITE_8_BLOCKS = [0x2a, 0, 0, 0, 0, 0, 0, 0, 8]


class Site(gateway_site.Site):
    """The initiators are on the hub, beside the cluster."""

    def __init__(self, stack, gateways=2, osds=1, return_after=5):
        names = {f"gw-{n}": f"10.77.0.{n}" for n in range(1, gateways + 1)}
        super().__init__(stack, stack.enter_context(Network(names)), names, [f"disk_{n}" for n in range(DISKS)],
                         osds=osds, rbdgate={"return_after": return_after})

    def start(self):
        super().start()
        self.wait_settled()

    def lun(self, gateway, n):
        return self.lun_at(gateway, self.disks[n])

    def state(self, gateway, n):
        return self.state_at(gateway, self.disks[n])

    def owner(self, n=0):
        return self.owner_of(self.disks[n])

    def wait_settled(self, gateways=None, deadline_s=30):
        """Each LUN has one owner, and all others forward to it."""
        gateways = gateways or self.gateways

        def settled():
            for n in range(DISKS):
                states = sorted(self.state(gw, n) for gw in gateways)
                if states != ["forwarded"] * (len(gateways) - 1) + ["ready"]:
                    return False
            return True
        wait_for(settled, f"owners: {[[self.state(gw, n) for gw in gateways] for n in range(DISKS)]}", deadline_s)

    def disk_of(self, gateway):
        return next(n for n in range(DISKS) if self.state(gateway, n) == "ready")

    def url(self, gateway, n=0):
        return f"iscsi://{gateway.address}:{PORT}/{IQN}/{n}"

    def session(self, gateway, n=0, name="iqn.1994-05.test:one"):
        session = Session(gateway.address, PORT, name, namespace=self.network.hub)
        session.attentions(n)
        return session

    def qemu_io(self, gateway, *commands, n=0, timeout=60, check=True):
        flat = [x for c in commands for x in ("-c", c)]
        out = run(*self.hub, "qemu-io", "-f", "raw", *flat, self.url(gateway, n), check=False, timeout=timeout)
        if check:
            expect("failed" not in out.lower() and "could not" not in out.lower(), out)
        return out

    def cut(self, gateway, address, ports=()):
        """Drops packets between a gateway and that address (its TCP ports only), both ways."""
        which = f" tcp %sport {{ {', '.join(map(str, ports))} }}" if ports else ""
        there, back = (which and which % side for side in "sd")
        rules = (f"table inet cut {{\nchain in {{\ntype filter hook input priority 0;\nip saddr {address}{there} drop\n}}\n"
                 f"chain out {{\ntype filter hook output priority 0;\nip daddr {address}{back} drop\n}}\n}}\n")
        run(*gateway.prefix, "nft", "-f", "-", input=rules)

    def heal(self, gateway):
        run(*gateway.prefix, "nft", "delete", "table", "inet", "cut")


class Writer:
    """Writes through one gateway, one block after the other, and notes what was acknowledged, what failed, and the
    longest pause. One session; errors end nothing."""

    def __init__(self, site, gateway, n=0, blocks=4096, step=4096):
        self.blocks, self.step = blocks, step
        self.command = [*site.hub, "qemu-io", "-f", "raw", site.url(gateway, n)]
        self.acknowledged, self.errors, self.pause_s, self.ended, self.writes = {}, [], 0.0, False, 0
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        block = 0
        while not self.ended:
            started = time.monotonic()
            pattern = block % 255 + 1
            self.acknowledged.pop(block % self.blocks, None)  # nobody knows, until it is answered
            try:
                self.process.stdin.write(f"write -P {pattern} {block % self.blocks * self.step} 4096\n")
                line = self.process.stdout.readline()
                while line and "wrote" not in line and "write failed" not in line:
                    line = self.process.stdout.readline()
            except (OSError, ValueError):
                return
            if not line:
                return
            if "wrote" in line:
                self.writes += 1
                self.acknowledged[block % self.blocks] = pattern
            else:
                self.errors.append(line.strip())
            self.pause_s = max(self.pause_s, time.monotonic() - started)
            block += 1

    def count(self):
        return self.writes

    def stop(self):
        """Answered or not: the initiator is gone."""
        self.ended = True
        self.process.kill()
        self.process.wait()
        self.thread.join(30)


class Strict:
    """Writes through one gateway, four commands at a time, and repeats nothing: whatever it hears but GOOD is kept."""

    WRITE = [0x2a, 0, 0, 1, 0, 0, 0, 0, 8]  # where no other writer writes
    CHANGED = ["status 02 sense 062a06"]  # access states: the only thing that may be heard

    def __init__(self, site, gateway, n=0):
        self.session = site.session(gateway, n)
        self.n, self.heard, self.good, self.pause_s, self.ended = n, [], 0, 0.0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ended:
                started = time.monotonic()
                tags = [self.session.start(self.WRITE, bytes(4096), lun=self.n) for _ in range(4)]
                answers = [self.session.finish(tag) for tag in tags]
                self.pause_s = max(self.pause_s, time.monotonic() - started)
                self.good += sum(answer.status == GOOD for answer in answers)
                self.heard += [f"{answer}" for answer in answers if answer.status != GOOD]
        except (OSError, harness.Failure) as failure:
            self.heard.append(f"{failure}")

    def stop(self):
        self.ended = True
        self.thread.join(40)
        self.session.close()
        print(f"# {self.good} writes, longest pause {self.pause_s:.2f} s, heard {self.heard}")
        expect(self.good > 50, f"{self.good} writes")
        expect([what for what in self.heard if what not in self.CHANGED] == [], f"errors: {self.heard}")


def check_acknowledged(s, writer, gateway, n=0):
    items = sorted(writer.acknowledged.items())
    for start in range(0, len(items), 256):
        s.qemu_io(gateway, *(f"read -P {p} {b * writer.step} 4096" for b, p in items[start:start + 256]), n=n)


site = functools.partial(gateway_site.running, Site)


@case
def every_path_works_and_what_one_wrote_the_other_reads():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        for gw in s.gateways:
            expect(any(s.state(gw, n) == "ready" for n in range(DISKS)), f"{gw.name} owns nothing")
        s.qemu_io(other, "write -P 0x11 0 1M", "read -P 0x11 0 1M")
        s.qemu_io(owner, "read -P 0x11 0 1M", "write -P 0x22 512k 256k")
        s.qemu_io(other, "read -P 0x22 512k 256k", "read -P 0x11 768k 256k")
        expect(s.lun(other, 0)["forwarded"] > 0, "nothing was forwarded")
        paths = [Path(gw, 0, namespace=s.network.hub) for gw in s.gateways]
        s.cluster.run("rbd", "resize", "--size", "96M", "rbd/disk_0")  # by somebody else
        for path in paths:
            wait_for(lambda: capacity(path) == 96 << 20, f"the new size at {path.gw.name}")
            expect_eq(path.told(), ([CAPACITY_CHANGED], 0), f"told by {path.gw.name}")


def rows(s, prefix):
    """Rows beside the configuration object, by name, as JSON."""
    keys = s.cluster.run("rados", "-p", "rbd", "listomapkeys", "gateway.conf.rbdgate").split()
    found = {}
    for key in (key for key in keys if key.startswith(f"row/{prefix}")):
        s.cluster.run("rados", "-p", "rbd", "getomapval", "gateway.conf.rbdgate", key, s.folder / "row")
        found[key.removeprefix("row/")] = json.loads((s.folder / "row").read_text())
    return found


def clients_of(s, gateway):
    """All that it registered; who watches the rows from its host is among them."""
    clients = rows(s, "gateway/")[f"gateway/{gateway.name}"]["clients"]
    watchers = s.cluster.run("rados", "-p", "rbd", "listwatchers", "gateway.conf.rbdgate").splitlines()
    watchers = {line.split("watcher=")[1].split()[0] for line in watchers}
    expect(len(clients) >= 2 and len(watchers & set(clients)) == 1, f"clients {clients}, watchers {watchers}")
    return clients


def expect_story(gateway, *parts):
    """These lines of its log stand in this order, and their times never go back."""
    lines, told = gateway.io.log.read_text().splitlines(), []
    for part in parts:
        at = next((i for i, line in enumerate(lines) if part in line), None)
        expect(at is not None, f"no line with {part!r} after {told}")
        told.append(lines[at])
        lines = lines[at + 1:]
    times = [line.split()[0] for line in told]
    expect(times == sorted(times) and all(time[:4].isdigit() for time in times), f"times: {told}")


@case
def a_killed_owner_is_fenced_and_replaced_and_nothing_acknowledged_is_lost():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        writer = Writer(s, other)
        wait_for(lambda: writer.count() > 50, "writes")
        clients = clients_of(s, owner)
        killed = time.monotonic()
        owner.kill()
        wait_for(lambda: s.state(other, 0) == "ready", "take-over", interval_s=0.01)
        print(f"# taken over in {time.monotonic() - killed:.2f} s")
        before = writer.count()
        wait_for(lambda: writer.count() > before + 50, "writes after the take-over")
        s.cluster.expect_fenced(clients)
        expect_story(other, ": asking", f"{owner.name}: 2 questions without an answer",
                     f"{owner.name} is condemned", f"{owner.name}: fenced {len(clients)} clients",
                     "rbd/disk_0: taken (take-over")
        def told():
            kinds = [event["kind"] for event in reversed(other.call("GET", "/rbdgate/history")["events"])]
            events = [kind for kind in kinds if kind in ("condemn", "fence", "take-over")]
            return events[:3] == ["condemn", "fence", "take-over"]
        wait_for(told, "the history to tell of it")
        writer.stop()
        print(f"# {writer.count()} blocks, longest pause {writer.pause_s:.2f} s, errors {writer.errors}")
        expect(len(writer.errors) <= 1, "more than the command whose fate nobody knows")
        expect(writer.pause_s < 10, "a pause longer than initiators wait")
        check_acknowledged(s, writer, other)
        s.wait_settled([other])
        owner.io.start()
        owner.api.start()
        owner.wait_ready()
        s.wait_settled()
        # Its preferred LUNs come back to it.
        wait_for(lambda: s.state(owner, 0) == "ready", "the return of the LUN")
        check_acknowledged(s, writer, owner)


@case
def a_frozen_owner_comes_back_as_a_non_owner():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        instance = s.instance(owner)
        s.qemu_io(owner, "write -P 0x31 0 1M")
        stale = Writer(s, owner)
        wait_for(lambda: stale.count() > 20, "writes")
        waits = s.session(owner)
        owner.io.freeze()
        for _ in range(3):
            waits.start(WRITE_8_BLOCKS, bytes([0x99]) * 4096)
        wait_for(lambda: s.state(other, 0) == "ready", "take-over")
        stale.stop()  # what it has sent waits in the owner's socket
        s.qemu_io(other, "write -P 0x55 0 16M")
        owner.io.thaw()
        wait_for(lambda: s.instance(owner) not in (None, instance), "a new instance in the same process")
        wait_for(lambda: waits.dead, "the end of the session that waited")
        expect_eq(waits.answers, {}, "answers of who was fenced")
        s.qemu_io(other, "read -P 0x55 0 16M")
        s.wait_settled()
        s.qemu_io(owner, "read -P 0x55 0 16M", "write -P 0x66 0 64k")
        s.qemu_io(other, "read -P 0x66 0 64k")


@case
def a_graceful_stop_costs_no_command():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        writer = Writer(s, other)
        wait_for(lambda: writer.count() > 50, "writes")
        own = Writer(s, owner, s.disk_of(other))
        wait_for(lambda: own.count() > 50, "writes through the one that stops")
        strict = [Strict(s, other), Strict(s, owner)]
        wait_for(lambda: all(w.good > 50 for w in strict), "writes that nobody repeats")
        stopper = threading.Thread(target=lambda: (owner.api.kill(), owner.io.stop(40)))
        stopper.start()
        # It forwards while I/O comes, but for ten seconds only: this first.
        wait_for(lambda: s.state(other, 0) == "ready", "hand-over")
        wait_for(lambda: strict[1].heard, "the change of access states, at the gateway that stops")
        good = strict[1].good
        wait_for(lambda: strict[1].good > good + 20, "writes which it forwards")
        strict.pop().stop()  # as an initiator does that was told
        expect_eq(own.errors, [], "errors through the gateway that stops, while it forwards")
        own.stop()
        before = writer.count()
        wait_for(lambda: writer.count() > before + 50, "writes after the hand-over")
        stopper.join(40)
        expect(not stopper.is_alive(), "the gateway has not stopped")
        strict.pop().stop()
        writer.stop()
        print(f"# {writer.count()} blocks, longest pause {writer.pause_s:.2f} s")
        expect_eq(writer.errors, [], "errors")
        check_acknowledged(s, writer, other)
        expect("fenced" not in s.gateways[0].io.log.read_text() + s.gateways[1].io.log.read_text(), "somebody was fenced")


@case
def a_drained_gateway_owns_nothing_until_it_is_called_back():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        writer = Writer(s, owner)
        strict = [Strict(s, gw) for gw in s.gateways]
        wait_for(lambda: writer.count() > 50 and all(w.good > 50 for w in strict), "writes")
        other.call("PUT", f"/rbdgate/maintenance/{owner.name}")
        wait_for(lambda: all(s.state(other, n) == "ready" for n in range(DISKS)), "all LUNs at the other")
        before = writer.count()
        wait_for(lambda: writer.count() > before + 50, "writes through the drained gateway")
        other.call("DELETE", f"/rbdgate/maintenance/{owner.name}")
        wait_for(lambda: s.state(owner, 0) == "ready", "the return")
        for w in strict:
            w.stop()
        writer.stop()
        expect_eq(writer.errors, [], "errors")
        check_acknowledged(s, writer, owner)


@case
def when_only_the_gateways_cannot_reach_each_other_nobody_is_fenced():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        instances = [s.instance(gw) for gw in s.gateways]
        writer = Writer(s, owner)
        wait_for(lambda: writer.count() > 20, "writes")
        path = Path(other, 0, namespace=s.network.hub)
        own = s.gateways.index(other)
        s.cut(owner, other.address)
        wait_for(lambda: s.state(other, 0) == "failed", "the other path to be unavailable")
        wait_for(lambda: path.ask()[own] == UNAVAILABLE, "the port group to say so")
        expect_eq(path.command(READ_ONE, in_len=512).sense, 0x02040c, "a read there")
        before = writer.count()
        wait_for(lambda: writer.count() > before + 50, "writes at the owner")
        # What nobody uses at its owner goes to the one that needs it.
        idle = next(n for n in range(DISKS) if n and s.state(owner, n) == "ready")
        wait_for(lambda: "wrote" in s.qemu_io(other, "write -P 0x12 0 64k", n=idle, check=False), "the idle LUN")
        s.heal(owner)
        s.wait_settled()
        expect_eq(path.command(READ_ONE, in_len=512).status, 0, "a read after that")
        wait_for(lambda: path.ask()[own] != UNAVAILABLE and path.attentions, "to be told of the path")
        writer.stop()
        expect_eq(writer.errors, [], "errors")
        expect_eq([s.instance(gw) for gw in s.gateways], instances, "instances")
        check_acknowledged(s, writer, other)


class Batches:
    """Through one gateway, batches of writes to eight blocks that say which batch they are of, with a read among them; each
    batch begins when the one before is answered. Keeps the number of each block's last good write."""

    def __init__(self, site, gateway):
        self.session = site.session(gateway)
        self.good, self.others, self.batch, self.pause_s = {}, [], 0, 0.0
        self.failure, self.ended = None, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @staticmethod
    def content(batch):
        return batch.to_bytes(4, "big") * 128

    def run(self):
        try:
            while not self.ended:
                self.batch += 1
                began = time.monotonic()
                writes = [self.session.start([0x2a, 0, 0, 1, 0, n, 0, 0, 1, 0], self.content(self.batch)) for n in range(8)]
                read = self.session.start(READ_ONE, in_len=512)
                for n, tag in enumerate(writes):
                    answer = self.session.finish(tag)
                    if answer.status == GOOD:
                        self.good[n] = self.batch
                    else:
                        self.others.append(f"{answer}")
                self.session.finish(read)
                self.pause_s = max(self.pause_s, time.monotonic() - began)
        except (OSError, harness.Failure) as failure:
            self.failure = failure

    def stop(self):
        self.ended = True
        self.thread.join(40)
        self.session.close()


@case
def what_is_under_way_when_only_the_gateways_lose_each_other_is_answered():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        writer = Writer(s, owner)  # so it is kept there
        for _ in range(3):
            batches = Batches(s, other)
            wait_for(lambda: batches.batch > 20, "batches")
            s.cut(owner, other.address)
            wait_for(lambda: any("02040c" in answer for answer in batches.others), "the path to be unavailable")
            s.heal(owner)
            healed = batches.batch
            wait_for(lambda: s.state(other, 0) == "forwarded" and batches.batch > healed + 20, "batches again")
            batches.stop()
            expect(batches.failure is None, f"{batches.failure}")
            print(f"# {batches.batch} batches, longest {batches.pause_s:.1f} s, heard {sorted(set(batches.others))}")
            expect(batches.pause_s < 15, "an answer took too long")
            told = [answer for answer in set(batches.others) if answer not in ("status 08 sense 000000", "status 02 sense 02040c")]
            expect([what for what in told if what not in Strict.CHANGED] == [], f"heard {told}")
            for n, batch in batches.good.items():
                data = s.session(owner, name="iqn.1994-05.test:reader").command([0x28, 0, 0, 1, 0, n, 0, 0, 1, 0], in_len=512).data
                expect_eq(data, batches.content(batch), f"block {n}, written last by batch {batch}")
        expect("it says through the store" in other.io.log.read_text(), "nothing was told through the store")
        writer.stop()
        expect_eq(writer.errors, [], "errors at the owner")


@case
def what_its_owner_does_not_use_goes_without_an_error_to_who_cannot_reach_it():
    """An initiator without another path has nothing of a status that tells it to take one."""
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        batches = Batches(s, other)
        wait_for(lambda: batches.batch > 20, "batches")
        s.cut(owner, other.address)
        wait_for(lambda: s.state(other, 0) == "ready", "the LUN")
        before = batches.batch
        wait_for(lambda: batches.batch > before + 20, "batches again")
        batches.stop()
        s.heal(owner)
        s.wait_settled()
        print(f"# {batches.batch} batches, longest {batches.pause_s:.1f} s, heard {sorted(set(batches.others))}")
        expect(batches.failure is None, f"{batches.failure}")
        again = ("status 08 sense 000000", "status 02 sense 0b0800", *Strict.CHANGED)
        expect([what for what in set(batches.others) if what not in again] == [], f"heard {set(batches.others)}")
        for n, batch in batches.good.items():
            data = s.session(owner, name="iqn.1994-05.test:reader").command([0x28, 0, 0, 1, 0, n, 0, 0, 1, 0], in_len=512).data
            expect_eq(data, batches.content(batch), f"block {n}, written last by batch {batch}")


@case
def what_was_used_lately_goes_before_it_is_missed_to_who_cannot_reach_its_owner():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        path = Path(other, 0, namespace=s.network.hub)
        expect_eq(path.command(READ_ONE, in_len=512).status, GOOD, "a read before")
        s.cut(owner, other.address)
        wait_for(lambda: s.state(other, 0) == "ready", "the LUN, which no command waits for")
        expect_eq(path.command(READ_ONE, in_len=512).status, GOOD, "a read after that")
        s.heal(owner)
        s.wait_settled()


@case
def who_takes_nothing_asks_an_owner_out_of_reach_only_for_what_another_one_would_take():
    with site(3) as s:
        owner = s.owner()
        asker, taker = s.others(owner)
        for gw in asker, taker:
            owner.call("PUT", f"/rbdgate/maintenance/{gw.name}")
        wait_for(lambda: all(s.state(owner, n) == "ready" and s.state(asker, n) == "forwarded" for n in range(DISKS)),
                 "all LUNs at one")
        before = rows(s, "owner/")
        path = Path(asker, 0, namespace=s.network.hub)
        expect_eq(path.command(READ_ONE, in_len=512).status, 0, "a read")
        s.cut(owner, asker.address)
        wait_for(lambda: s.state(asker, 0) == "failed", "the LUN to be unavailable there")

        def asked_often():
            path.command(READ_ONE, in_len=512)
            return owner.io.log.read_text().count(f"{asker.name} asks whether this gateway lives") > 3
        wait_for(asked_often, "questions", deadline_s=60)
        expect_eq(rows(s, "owner/"), before, "records while nobody would take the LUN")
        owner.call("DELETE", f"/rbdgate/maintenance/{taker.name}")
        wait_for(lambda: path.command(READ_ONE, in_len=512).status == 0, "the LUN, at one that takes it")
        expect_eq(s.state(taker, 0), "ready", "that one")
        s.heal(owner)
        owner.call("DELETE", f"/rbdgate/maintenance/{asker.name}")
        wait_for(lambda: s.state(owner, 0) == "ready", "the return")


@case
def an_owner_without_the_cluster_is_replaced():
    with site() as s:
        owner = s.owner()
        other = s.others(owner)[0]
        instance = s.instance(owner)
        writer = Writer(s, other)
        wait_for(lambda: writer.count() > 50, "writes")
        s.cut(owner, s.network.hub_address)
        cut = time.monotonic()
        wait_for(lambda: s.state(other, 0) == "ready", "take-over", deadline_s=60)
        print(f"# taken over in {time.monotonic() - cut:.2f} s")
        before = writer.count()
        wait_for(lambda: writer.count() > before + 50, "writes after the take-over")
        writer.stop()
        check_acknowledged(s, writer, other)
        s.heal(owner)
        wait_for(lambda: s.instance(owner) not in (None, instance), "a new instance", deadline_s=60)
        s.wait_settled(deadline_s=60)


@case
def of_two_survivors_each_lun_has_one_new_owner():
    with site(3) as s:
        owner = s.owner()
        survivors = s.others(owner)
        writers = [Writer(s, gw, n) for n in range(2) for gw in survivors]
        wait_for(lambda: all(w.count() > 20 for w in writers), "writes")
        owner.kill()
        s.wait_settled(survivors)
        counts = [w.count() for w in writers]
        try:
            wait_for(lambda: all(w.count() > c + 20 for w, c in zip(writers, counts)), "writes after the take-over")
        finally:
            for w, c in zip(writers, counts):
                print(f"# {c} writes before, {w.count()} after, errors {w.errors}")
            for gw in survivors:
                print(f"# {gw.name}: {gw.status()}")
        for w in writers:
            w.stop()


def find_log(gateways, text):
    """The first gateway whose log has it."""
    return next((gw for gw in gateways if text in gw.io.log.read_text()), None)


@case
def without_the_monitors_io_goes_on_and_nobody_takes_and_a_survivor_that_dies_in_its_take_over_is_replaced():
    with site(3) as s:
        owner = s.owner()
        epochs = {key: row["epoch"] for key, row in rows(s, "owner/").items()}
        third, second = s.others(owner)
        instances = [s.instance(gw) for gw in s.gateways]
        writer = Writer(s, third)
        wait_for(lambda: writer.count() > 50, "writes")
        s.cluster.rig("mon-pause")
        paused, before = time.monotonic(), writer.count()
        wait_for(lambda: writer.count() > before + 50 and time.monotonic() > paused + 5, "writes for 5 s")
        expect_eq([s.instance(gw) for gw in s.gateways], instances, "instances while the monitors are away")
        expect(not find_log(s.gateways, "is condemned"), "somebody was condemned")
        # Whoever takes over now stands in the middle of it: it cannot fence.
        owner.kill()
        wait_for(lambda: find_log([second], f"{owner.name} is condemned"), "a survivor that condemns")
        wait_for(lambda: s.state(third, 0) in ("busy", "transitioning"), "commands to be told to wait")
        errors, state = list(writer.errors), s.state(third, 0)  # in this order: the next state is told as an error
        expect(state != "busy" or not errors, f"errors before the take-over: {errors}")
        expect(not find_log([second, third], "taken (take-over"), "somebody took what could not be fenced")
        second.kill()
        before = writer.count()
        s.cluster.rig("mon-resume")
        s.wait_settled([third], deadline_s=60)
        wait_for(lambda: writer.count() > before + 50, "writes after the take-over")
        writer.stop()
        print(f"# {writer.count()} writes, longest pause {writer.pause_s:.2f} s, errors {writer.errors}")
        check_acknowledged(s, writer, third)
        now = rows(s, "owner/")
        for key in epochs:
            expect_eq(now[key]["gateway"], third.name, f"owner of {key}")
        expect(now["owner/rbd/disk_0"]["epoch"] > epochs["owner/rbd/disk_0"], f"epochs {epochs}, {now}")
        in_debt = {row["gateway"] for row in rows(s, "debt/").values()}
        expect_eq(in_debt, {owner.name, second.name}, "gateways whose clients are in debt")
        # Those who died in the middle come back, and all is as it was.
        for gw in (owner, second):
            gw.io.start()
            gw.api.start()
        s.wait_settled(deadline_s=60)
        check_acknowledged(s, writer, owner)


class Osds:
    """Two OSDs: the rows are on one of them, and LUN 0 is on both."""

    def __init__(self, s):
        self.s = s
        self.with_rows = self.osd_of("gateway.conf.rbdgate")
        self.other = 1 - self.with_rows

    def ask(self, *question):
        return json.loads(self.s.cluster.run("ceph", "osd", *question, "--format", "json"))

    def osd_of(self, name):
        return self.ask("map", "rbd", name)["acting_primary"]

    def ports(self, number):
        addresses = next(o for o in self.ask("dump")["osds"] if o["osd"] == number)["public_addrs"]["addrvec"]
        return [a["addr"].rsplit(":", 1)[1] for a in addresses]


@case
def an_osd_that_answers_nobody_moves_nothing_and_one_that_does_not_answer_the_owner_moves_its_luns():
    with site(osds=2, return_after=2) as s:
        osds = Osds(s)
        owner = s.owner()
        other = s.others(owner)[0]
        instances = {gw: s.instance(gw) for gw in s.gateways}
        writer = Writer(s, other, blocks=64, step=1 << 20)
        wait_for(lambda: writer.count() >= 64, "writes to all objects")
        # The one with the rows starts anew: all watches are gone for a moment, and mean nothing.
        s.cluster.rig("osd-kill", osds.with_rows)
        s.cluster.rig("osd-start", osds.with_rows)
        before = writer.count()
        wait_for(lambda: writer.count() > before + 64, "writes go on", deadline_s=60)
        s.wait_settled()
        wait_for(lambda: s.lun(owner, 0)["hung_s"] == 0, "nothing to hang")

        def words():  # a restart that takes long is worth some as well
            return owner.io.log.read_text().count("no other gateway that could read there")
        said = words()
        # For all.
        s.cluster.rig("osd-pause", osds.other)
        wait_for(lambda: words() > said, "words about it", deadline_s=60)
        expect(s.lun(owner, 0)["hung_s"] >= 4, s.lun(owner, 0))
        s.cluster.rig("osd-resume", osds.other)
        s.cluster.run("ceph", "osd", "down", osds.other)
        before = writer.count()
        wait_for(lambda: writer.count() > before + 64, "writes go on", deadline_s=60)
        wait_for(lambda: s.lun(owner, 0)["hung_s"] == 0, "nothing to hang")
        expect_eq(writer.errors, [], "errors")
        expect_eq({gw: s.instance(gw) for gw in s.gateways}, instances, "instances")
        expect(not find_log(s.gateways, "condemned"), "somebody was condemned")
        # For the owner alone.
        s.cut(owner, s.network.hub_address, osds.ports(osds.other))
        cut = time.monotonic()
        wait_for(lambda: s.state(other, 0) == "ready", "take-over")
        print(f"# taken over in {time.monotonic() - cut:.2f} s")
        wait_for(lambda: s.instance(owner) not in (None, instances[owner]), "a new instance")
        # It is given nothing back as long as that OSD does not answer it.
        steady = time.monotonic()
        wait_for(lambda: s.state(other, 0) != "ready" or time.monotonic() > steady + 4, "nothing")
        expect_eq(s.state(other, 0), "ready", "the LUN, at the one that the OSD answers")
        expect(not find_log([owner], "this gateway takes LUNs"), "too early")
        s.heal(owner)
        wait_for(lambda: s.state(owner, 0) == "ready", "the return", deadline_s=60)
        writer.stop()
        print(f"# errors {writer.errors}, longest pause {writer.pause_s:.2f} s")
        expect_eq(s.instance(other), instances[other], "the instance of the other gateway")
        check_acknowledged(s, writer, other)


if __name__ == "__main__":
    harness.main()
