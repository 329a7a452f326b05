#!/usr/bin/env python3
"""Other people's initiators on the embedded store: libiscsi's tools, qemu-img and qemu-io."""
import json
import os
import pathlib
import subprocess

import harness
from harness import IQN, case, expect, expect_eq, gateway, make_target, run, status_of, wait_for

USER, SECRET = "myusername1", "mypassword12"


@case
def discovery_shows_the_target_and_its_portal():
    with gateway() as gw:
        make_target(gw)
        out = run("iscsi-ls", f"iscsi://127.0.0.1:{gw.portal_port}")
        expect(f"Target:{IQN} Portal:127.0.0.1:{gw.portal_port},1" in out, out)


@case
def a_portal_on_ipv6_is_discovered_in_brackets_and_serves():
    with gateway(address="::1") as gw:
        make_target(gw, user=USER, secret=SECRET)
        out = run("iscsi-ls", f"iscsi://{gw.portal}")
        expect(f"Target:{IQN} Portal:[::1]:{gw.portal_port},1" in out, out)
        out = run("qemu-io", "-f", "raw", "-c", "write -P 0x6a 1M 64k", "-c", "read -P 0x6a 1M 64k",
                  gw.url(user=USER, secret=SECRET))
        expect("failed" not in out.lower() and "read 65536/65536" in out, out)


@case
def a_target_with_chap_lets_in_who_knows_the_secret_and_nobody_else():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        out = run("iscsi-inq", gw.url(user=USER, secret=SECRET))
        expect("LIO-ORG" in out and "TCMU device" in out, out)
        for user, secret in ((USER, "wrongpassword"), ("wronguser", SECRET), (None, None)):
            expect(status_of("iscsi-inq", gw.url(user=user, secret=secret)) != 0, f"{user} got in")


@case
def clients_see_their_luns_and_unknown_initiators_nothing():
    with gateway() as gw:
        make_target(gw, disks=("disk_1", "disk_2"), client=harness.CLIENT, user=USER, secret=SECRET)
        url = gw.url(user=USER, secret=SECRET)
        run("iscsi-inq", "-i", harness.CLIENT, url)
        expect(status_of("iscsi-inq", "-i", "iqn.1994-05.com.redhat:stranger", url) != 0, "a stranger got in")
        gw.call("DELETE", f"/clientlun/{IQN}/{harness.CLIENT}", disk="rbd/disk_2")
        run("iscsi-inq", "-i", harness.CLIENT, url)
        second = gw.url(lun=1, user=USER, secret=SECRET)
        out = run("iscsi-inq", "-i", harness.CLIENT, second, check=False)
        expect("TCMU" not in out or "7f" in out.lower() or "no device" in out.lower() or "Qualifier:3" in out
               or "Peripheral Qualifier:3" in out or "NOT" in out.upper(), f"an unmapped LUN answers: {out}")


@case
def qemu_converts_compares_writes_and_reads_with_chap():
    with gateway() as gw, harness.folder() as path:
        make_target(gw, size="32M", user=USER, secret=SECRET)
        url = gw.url(user=USER, secret=SECRET)
        source = path / "source.raw"
        source.write_bytes(os.urandom(32 << 20))
        run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, url, timeout=120)
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, url, timeout=120)
        out = run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 1M 64k", "-c", "flush", "-c", "read -P 0x5a 1M 64k",
                  "-c", "discard 2M 1M", "-c", "write -z 4M 1M", "-c", "read -P 0 4M 1M", url)
        expect("failed" not in out.lower(), out)


@case
def data_written_survive_a_restart_and_a_kill_of_every_program():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        url = gw.url(user=USER, secret=SECRET)
        before = gw.call("GET", "/config")
        for number, (pattern, end) in enumerate((("0x11", "stop"), ("0x22", "kill"))):
            run("qemu-io", "-f", "raw", "-c", f"write -f -P {pattern} 0 1M", url)
            getattr(gw, end)()
            gw.start()
            gw.wait_lun("rbd/disk_1")
            out = run("qemu-io", "-f", "raw", "-c", f"read -P {pattern} 0 1M", url)
            expect("failed" not in out.lower(), f"after {end}: {out}")
        after = gw.call("GET", "/config")
        expect_eq(after["targets"], before["targets"], "configuration")


@case
def a_restart_of_the_api_does_not_touch_sessions():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        url = gw.url(user=USER, secret=SECRET)
        writer = subprocess.Popen(["qemu-io", "-f", "raw", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        try:
            writer.stdin.write("write -P 0x33 0 64k\n")
            writer.stdin.flush()
            wait_for(lambda: len(gw.status()["sessions"]) == 1, "a session")
            tsih = gw.status()["sessions"][0]["tsih"]
            gw.api.stop()
            writer.stdin.write("write -P 0x44 64k 64k\n")
            writer.stdin.flush()
            gw.api.start()
            gw.wait_ready()
            expect_eq(gw.status()["sessions"][0]["tsih"], tsih, "session")
        finally:
            out, _ = writer.communicate("quit\n", timeout=30)
        expect_eq(out.count("wrote 65536/65536"), 2, out)


@case
def a_resize_is_seen_by_the_initiator():
    with gateway() as gw:
        make_target(gw, size="64M", user=USER, secret=SECRET)
        url = gw.url(user=USER, secret=SECRET)
        expect("67108864" in run("iscsi-readcapacity16", url), "size before")
        gw.call("PUT", "/disk/rbd/disk_1", mode="resize", size="96M")
        out = run("iscsi-readcapacity16", url)
        expect(str(96 << 20) in out, out)


@case
def a_disk_that_cannot_be_opened_harms_no_other():
    with gateway() as gw:
        make_target(gw, disks=("disk_1", "disk_2"), user=USER, secret=SECRET)
        gw.stop()
        image = next(pathlib.Path(gw.folder).glob("store/images/rbd/disk_2*"))
        image.rename(image.with_suffix(".away"))
        gw.start()
        gw.wait_lun("rbd/disk_1")
        gw.wait_lun("rbd/disk_2", "failed")
        run("iscsi-inq", gw.url(user=USER, secret=SECRET))
        run("qemu-io", "-f", "raw", "-c", "write 0 4k", gw.url(user=USER, secret=SECRET))
        image.with_suffix(".away").rename(image)
        gw.wait_lun("rbd/disk_2")


@case
def a_change_is_in_force_when_the_api_answers():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        for number in range(2, 8):
            gw.call("PUT", f"/disk/rbd/disk_{number}", mode="create", size="16M")
            gw.call("PUT", f"/targetlun/{IQN}", disk=f"rbd/disk_{number}")
            run("iscsi-readcapacity16", gw.url(lun=number - 1, user=USER, secret=SECRET))
        for number in range(2, 8):
            gw.call("DELETE", f"/targetlun/{IQN}", disk=f"rbd/disk_{number}")
            names = [l["name"] for l in gw.status()["luns"]]
            expect(f"rbd/disk_{number}" not in names, f"disk_{number} is still there: {names}")


@case
def sighup_takes_up_new_settings_and_names_those_that_need_a_restart():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        text = gw.config.read_text()
        gw.config.write_text("[target]\ncmdsn_depth = 64\n" + text.replace("[rbdgate]", "[rbdgate]\nio_threads = 3"))
        gw.io.process.send_signal(1)
        wait_for(lambda: "io_threads has changed" in gw.io.log.read_text(), "a word about io_threads")
        run("iscsi-inq", gw.url(user=USER, secret=SECRET))
        gw.config.write_text("this is no settings file\n")
        gw.io.process.send_signal(1)
        wait_for(lambda: "the old ones stay" in gw.io.log.read_text(), "a word about the bad file")
        run("iscsi-inq", gw.url(user=USER, secret=SECRET))
        gw.config.write_text(text)


harness.main()
