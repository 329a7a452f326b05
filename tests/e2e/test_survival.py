#!/usr/bin/env python3
"""A writer, a configuration that changes, and programs that are killed at random moments: what was
acknowledged is there after each restart, on the LUN and in the configuration, and gateway.conf is
whole at every look. RBDGATE_SEED picks another run, RBDGATE_KILLS a longer one."""
import json
import os
import random
import socket
import subprocess
import threading
import time

import harness
from harness import IQN, case, expect, expect_eq, gateway, make_target, wait_for

BLOCK = 4096
BLOCKS = 2048
KILLS = int(os.environ.get("RBDGATE_KILLS", "6"))


class Writer(threading.Thread):
    """Writes numbered blocks one by one; remembers what was acknowledged, and what may be either."""

    def __init__(self, url, rng):
        super().__init__(daemon=True)
        self.url, self.rng = url, rng
        self.known, self.unsure = {}, {}
        self.acknowledged, self.reconnects = 0, 0
        self.lock = threading.Lock()  # held while a write is under way
        self.ended = False

    def write(self, qemu, number):
        block, pattern = self.rng.randrange(BLOCKS), number % 255 + 1
        with self.lock:
            self.unsure.setdefault(block, {self.known.pop(block, 0)}).add(pattern)
            qemu.stdin.write(f"write -P {pattern} {block * BLOCK} {BLOCK}\n")
            qemu.stdin.flush()
            for line in iter(qemu.stdout.readline, ""):
                if f"wrote {BLOCK}/{BLOCK}" in line:
                    self.known[block] = pattern
                    del self.unsure[block]
                    self.acknowledged += 1
                    return True
                if "failed" in line:
                    return False
            return False

    def run(self):
        number = 0
        while not self.ended:
            qemu = subprocess.Popen(["qemu-io", "-f", "raw", self.url], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                while not self.ended and self.write(qemu, number):
                    number += 1
            except OSError:  # it could not open the LUN, and ended
                pass
            self.reconnects += 1
            qemu.kill()
            qemu.wait()

    def check(self):
        """Nothing is under way now: every acknowledged write is read back, by a session of its own."""
        with self.lock:
            items = sorted(self.known.items())
            for start in range(0, len(items), 512):
                commands = [x for block, pattern in items[start:start + 512]
                            for x in ("-c", f"read -P {pattern} {block * BLOCK} {BLOCK}")]
                # stdout alone: what it says of unit attentions would come in the middle of lines.
                out = subprocess.run(["qemu-io", "-f", "raw", *commands, self.url], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True, timeout=60).stdout
                problems = [l for l in out.splitlines() if "read 4096/4096" not in l and "KiB" not in l]
                expect(out.count("read 4096/4096") == len(commands) // 2 and "erification" not in out,
                       f"an acknowledged write is gone: {problems}")


class Changer(threading.Thread):
    """Makes and removes disks and changes one; what was answered 200 is what must be there."""

    def __init__(self, gw, rng):
        super().__init__(daemon=True)
        self.gw, self.rng = gw, rng
        self.disks, self.unsure = {}, set()  # name -> size in MiB; names whose change was not answered
        self.done, self.number = 0, 0
        self.lock = threading.Lock()
        self.ended = False
        self.problem = None

    def settle_unsure(self):
        disks = self.gw.call("GET", "/config")["disks"]
        for name in self.unsure:
            self.disks.pop(name, None)
            if f"rbd/{name}" in disks:
                # Whether a resize came through tells the next one that is answered.
                self.disks[name] = None
        self.unsure.clear()

    def change(self):
        if self.unsure:
            self.settle_unsure()
        kind = self.rng.choice(("create", "create", "map", "resize", "delete"))
        name = self.rng.choice(sorted(self.disks)) if self.disks else None
        if kind == "create" or name is None:
            self.number += 1
            kind, name, size = "create", f"extra_{self.number}", 16
            arguments = ("PUT", f"/disk/rbd/{name}", {"mode": "create", "size": "16M"})
        elif kind == "map":
            arguments = ("PUT", f"/targetlun/{IQN}", {"disk": f"rbd/{name}"})
            size = self.disks[name]
        elif kind == "resize":
            size = (self.disks[name] or 64) + 16
            arguments = ("PUT", f"/disk/rbd/{name}", {"mode": "resize", "size": f"{size}M"})
        else:
            arguments, size = ("DELETE", f"/disk/rbd/{name}", {}), 0
        self.unsure.add(name)
        status, body = self.gw.request(arguments[0], arguments[1], **arguments[2])
        if status == 200:
            self.unsure.discard(name)
            self.done += 1
            if kind == "delete":
                self.disks.pop(name, None)
            else:
                self.disks[name] = size

    def run(self):
        while not self.ended:
            try:
                with self.lock:
                    self.change()
            except (OSError, harness.Failure, ValueError) as problem:  # killed under it
                self.problem = problem
                time.sleep(0.05)

    def check(self, store):
        with self.lock:
            config = json.loads((store / "gateway.conf").read_text())
            for name in self.disks:
                if name not in self.unsure:
                    expect(f"rbd/{name}" in config["disks"], f"committed disk {name} is gone")
            for name in (f"extra_{i}" for i in range(1, self.number + 1)):
                if name not in self.disks and name not in self.unsure:
                    expect(f"rbd/{name}" not in config["disks"], f"deleted disk {name} is back")
            expect(IQN in config["targets"] and "rbd/disk_1" in config["disks"], "target or disk")


@case
def acknowledged_writes_and_committed_changes_outlive_kills():
    seed = int(os.environ.get("RBDGATE_SEED", time.time()))
    print(f"# RBDGATE_SEED={seed}", flush=True)
    rng = random.Random(seed)
    with gateway() as gw:
        make_target(gw, user=None)
        gw.wait_lun("rbd/disk_1")
        writer = Writer(gw.url(), random.Random(seed + 1))
        changer = Changer(gw, random.Random(seed + 2))
        writer.start()
        changer.start()
        for kill in range(KILLS):
            before, changes = writer.acknowledged, changer.done
            wait_for(lambda: writer.acknowledged > before and changer.done > changes,
                     f"writes and changes before kill {kill}: {changer.problem}")
            time.sleep(rng.uniform(0, 1.0))  # the random moment itself: nothing is waited for
            victims = rng.choice(((gw.io,), (gw.io,), (gw.api,), (gw.io, gw.api)))
            for program in victims:
                program.kill()
            json.loads((gw.folder / "store" / "gateway.conf").read_text())
            for program in victims:
                program.start()
            gw.wait_ready()
            gw.wait_lun("rbd/disk_1")
            writer.check()
            changer.check(gw.folder / "store")
        writer.ended = changer.ended = True
        writer.join(30)
        changer.join(30)
        expect(not writer.is_alive() and not changer.is_alive(), "writer or changer hangs")
        writer.check()
        changer.check(gw.folder / "store")
        epoch = gw.call("GET", "/config")["epoch"]
        wait_for(lambda: gw.status()["epoch"] == epoch, "the last epoch in force")
        print(f"# {writer.acknowledged} writes, {changer.done} changes, {writer.reconnects} reconnects", flush=True)
        expect_eq(gw.status()["serving"], True)


@case
def asking_for_the_status_at_the_moment_of_the_stop_is_harmless():
    for _ in range(3):
        with gateway() as gw:
            make_target(gw, user=None)
            ended = threading.Event()

            def ask():
                while not ended.is_set():
                    try:
                        gw.status()
                    except (OSError, ValueError):
                        pass
            threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
            for thread in threads:
                thread.start()
            try:
                gw.io.stop()  # a failed assertion is an exit code
            finally:
                ended.set()
                for thread in threads:
                    thread.join(15)
            gw.io.start()
            gw.wait_ready()


@case
def a_stop_while_no_monitor_answers_ends_well():
    with harness.folder() as folder, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        (folder / "ceph.conf").write_text(f"[global]\nmon_host = v2:127.0.0.1:{silent.getsockname()[1]}\n"
                                          f"keyring = {folder}/keyring\n")
        (folder / "keyring").write_text("[client.admin]\nkey = AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n")
        gw = harness.Gateway(folder, store="rados")
        gw.io.start()
        try:
            silent.settimeout(20)
            peer, _ = silent.accept()  # it is connecting
            gw.io.stop()
            peer.close()
        except BaseException:
            print(harness.tail(gw.io.log))
            gw.io.kill()
            raise


harness.main()
