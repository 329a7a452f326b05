#!/usr/bin/env python3
"""One gateway as an ordinary user with the smallest capabilities; what is missing (keyring, key, caps,
pool, a portal's address) is said in one line, waited for, and served when it is there."""
import contextlib
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import IQN, Cluster, Gateway, Network, case, expect, make_target, prefix_of, run, tail, wait_for

AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
ADDRESS, LATER = "10.77.0.1", "10.77.0.9"


class Site:
    """A cluster, and a gateway whose configuration folder holds ceph.conf and the keyring, as on a host."""

    def __init__(self, stack, pool="rbd"):
        self.network = stack.enter_context(Network({"gw-1": ADDRESS}))
        self.hub = prefix_of(self.network.hub)
        self.host = prefix_of(self.network.namespaces["gw-1"])
        self.cluster = stack.enter_context(Cluster("--osds", "1", prefix=self.hub, address=self.network.hub_address))
        self.folder = stack.enter_context(harness.folder())
        self.keyring = self.folder / "ceph.client.gw.keyring"
        monitors = self.cluster.run("ceph-conf", "--lookup", "mon_host").strip()
        (self.folder / "ceph.conf").write_text(
            f"[global]\nmon_host = {monitors}\nauth_client_required = cephx\nkeyring = {self.keyring}\n")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CEPH_")}
        self.gw = Gateway(self.folder / "gw-1", name="gw-1", store="rados", address=ADDRESS, api_port=5000,
                          portal_port=3260, prefix=[*self.host, *AS_NOBODY], env=environment,
                          settings={"ceph_config_dir": self.folder, "cluster_client_name": "client.gw", "pool": pool})
        shutil.chown(self.gw.folder, "nobody", "nogroup")
        self.folder.chmod(0o755)
        stack.callback(self.gw.kill)

    def allow(self, *caps):
        """The capabilities of client.gw, which is made if there is none."""
        verb = "caps" if "client.gw" in self.cluster.run("ceph", "auth", "ls") else "get-or-create"
        self.cluster.run("ceph", "auth", verb, "client.gw", *caps)

    def give_key(self, text=None):
        if text:
            self.keyring.write_text(text)
        else:
            self.cluster.run("ceph", "auth", "get", "client.gw", "-o", self.keyring)
        shutil.chown(self.keyring, "nobody", "nogroup")
        self.keyring.chmod(0o400)

    def wait_said(self, *words):
        """Both daemons say it, once; and both go on waiting."""
        for program in (self.gw.io, self.gw.api):
            def lines():
                expect(program.running(), f"{program.name} ended:\n{tail(program.log)}")
                return [line for line in program.log.read_text().splitlines() if all(w in line for w in words)]
            wait_for(lines, f"{program.name} to say {words}:\n{tail(program.log)}")

    def serve(self):
        """Waits for both daemons, then a disk from nothing to a read."""
        self.gw.wait_ready()
        make_target(self.gw, user=None)
        self.write_and_read()

    def write_and_read(self):
        self.gw.wait_lun("rbd/disk_1")
        run(*self.hub, "qemu-io", "-f", "raw", "-c", "write -P 0x21 0 64k", "-c", "read -P 0x21 0 64k", self.gw.url())


@contextlib.contextmanager
def site(**arguments):
    with contextlib.ExitStack() as stack:
        s = Site(stack, **arguments)
        try:
            yield s
        except BaseException:
            for program in (s.gw.io, s.gw.api):
                for line in tail(program.log).splitlines():
                    print(f"# {program.name}: {line}")
            raise


GATEWAY_CAPS = ["mon", "profile rbd", "mgr", "profile rbd", "osd", "profile rbd pool=rbd"]


@case
def an_ordinary_user_with_the_smallest_caps_does_all_a_gateway_does():
    with site() as s:
        s.allow(*GATEWAY_CAPS)
        s.give_key()
        s.gw.io.start()
        s.gw.api.start()
        s.serve()
        for program in (s.gw.io, s.gw.api):
            status = pathlib.Path(f"/proc/{program.pid}/status").read_text()
            expect("Uid:\t65534\t65534" in status and "CapEff:\t0000000000000000" in status, status)
        s.gw.call("PUT", "/disk/rbd/disk_1", mode="resize", size="128M")
        s.gw.call("PUT", "/disksnap/rbd/disk_1/s1", mode="create")
        s.gw.call("DELETE", "/disksnap/rbd/disk_1/s1")
        # A killed gateway's lock is broken, which needs the right to fence.
        s.gw.io.kill()
        s.gw.io.start()
        s.gw.wait_lun("rbd/disk_1")
        s.gw.call("DELETE", f"/targetlun/{IQN}", disk="rbd/disk_1")
        s.gw.call("DELETE", "/disk/rbd/disk_1", preserve_image="false")
        expect("disk_1" not in s.cluster.run("rbd", "ls"), "the image is still there")
        s.gw.stop()


@case
def keyring_key_and_caps_are_each_named_and_waited_for():
    with site() as s:
        s.gw.io.start()
        s.gw.api.start()
        s.wait_said("no keyring for client.gw", str(s.keyring))
        s.allow("mon", "profile rbd")
        s.give_key("this is no keyring\n")
        s.wait_said("damaged", str(s.keyring))
        s.give_key("[client.gw]\n\tkey = AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==\n")
        s.wait_said("Ceph refuses the key of client.gw", "ceph auth get client.gw")
        s.give_key()
        s.wait_said("client.gw", "ceph auth caps", "profile rbd pool=rbd")
        s.allow(*GATEWAY_CAPS)
        s.serve()


@case
def a_pool_that_is_missing_is_named_and_used_when_it_is_there():
    with site(pool="iscsi") as s:
        s.allow("mon", "profile rbd", "mgr", "profile rbd", "osd", "profile rbd pool=rbd, profile rbd pool=iscsi")
        s.give_key()
        s.gw.io.start()
        s.gw.api.start()
        s.wait_said("'iscsi' pool does not exist", "ceph osd pool create iscsi")
        s.cluster.run("ceph", "osd", "pool", "create", "iscsi", "8")
        s.serve()


@case
def a_portal_address_that_comes_later_is_waited_for_and_served():
    with site() as s:
        s.allow(*GATEWAY_CAPS)
        s.give_key()
        s.gw.io.start()
        s.gw.api.start()
        s.gw.wait_ready()
        def change(verb):
            run(*s.host, "ip", "addr", verb, f"{LATER}/24", "dev", "eth0")
        change("add")
        s.gw.address = LATER
        make_target(s.gw, user=None)
        # A host that comes up without the address: all else is served, and it is said.
        s.gw.io.stop()
        change("del")
        s.gw.io.start()
        wait_for(lambda: f"portal {LATER}:3260: cannot listen" in s.gw.io.log.read_text(), "a line about the portal")
        s.gw.wait_lun("rbd/disk_1")
        change("add")
        wait_for(lambda: s.gw.io.log.read_text().count(f"portal {LATER}:3260: listening") == 2, "the portal")
        s.write_and_read()


harness.main()
