#!/usr/bin/env python3
"""The Linux kernel's initiator, in a guest: what it logs in to, mounts, verifies, sees grow, and what
it is refused. The guest's script reports each step in a line; each is a case here."""
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import CLIENT, IQN, Gateway, Network, Failure, case, expect, prefix_of, run, tail

HERE = pathlib.Path(__file__).resolve().parent
RIG = HERE.parent / "rigs" / "vm" / "vm-rig"
PORTAL = "10.99.1.1"
STEPS = ("discovery", "wrong_secret_refused", "unknown_initiator_refused", "login_with_mutual_chap",
         "identity", "unmapped_lun_not_seen", "mkfs_and_mount", "fio_verified", "resize_seen", "logout",
         "login_with_digests", "fio_verified_with_digests", "data_still_there", "logout_with_digests")


def set_up(gw):
    gw.call("PUT", f"/target/{IQN}")
    gw.call("PUT", f"/gateway/{IQN}/{gw.name}", ip_address=PORTAL, skipchecks="true")
    for disk in ("disk_1", "not_mapped"):
        gw.call("PUT", f"/disk/rbd/{disk}", mode="create", size="256M")
        gw.call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")
    gw.call("PUT", f"/client/{IQN}/{CLIENT}")
    gw.call("PUT", f"/clientauth/{IQN}/{CLIENT}", username="myusername", password="mypassword12",
            mutual_username="mytgtusername", mutual_password="mytgtpassword")
    gw.call("PUT", f"/clientlun/{IQN}/{CLIENT}", disk="rbd/disk_1")


def run_guest(gw, share):
    """Runs the guest's script, and grows the disk when it asks; returns the steps that went well."""
    shutil.copy(HERE / "guest" / "initiator.sh", share)
    guest = subprocess.Popen([str(c) for c in (*gw.prefix, RIG, "run", "--engine", "uml", "--time", "420", "--share",
                                               share, "-e", f"PORTAL={PORTAL}", "-e", f"PORT={gw.portal_port}",
                                               "-e", f"IQN={IQN}", "-e", f"CLIENT={CLIENT}", "--",
                                               share / "initiator.sh")],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in guest.stdout:
        lines.append(line.rstrip())
        if line.startswith("step: grow-now"):
            gw.call("PUT", "/disk/rbd/disk_1", mode="resize", size="320M")
    guest.wait()
    return lines


results = {}
log = []


def run_all():
    """One guest for all cases: its start costs more than they do."""
    if results:
        return
    with Network({}, hub_address=PORTAL) as network, harness.folder() as folder:
        gw = Gateway(folder / "gw", address=PORTAL, prefix=prefix_of(network.hub), portal_port=3260)
        try:
            gw.start()
            set_up(gw)
            share = folder / "share"
            share.mkdir()
            log.extend(run_guest(gw, share))
            gw.stop()
            results["target_ends_cleanly"] = True
        finally:
            gw.kill()
            log.extend(f"io: {line}" for line in tail(gw.io.log, 20).splitlines())
    for line in log:
        if line.startswith("step: ") and line.endswith(" ok"):
            results[line.split()[1]] = True


def define(step):
    def test():
        run_all()
        if step not in results:
            raise Failure("\n".join(log[-60:]))
    test.__name__ = f"kernel_initiator_{step}"
    case(test)


for name in (*STEPS, "target_ends_cleanly"):
    define(name)

run(RIG, "build", timeout=900)
harness.main()
