#!/usr/bin/env python3
"""Owners of LUNs as people see and move them: two gateways over one folder."""
import contextlib
import os
import re
import signal
import subprocess
import threading

import harness
from harness import IQN, Gateway, case, expect, expect_eq, make_target, prefix_of, run, wait_for
from initiator import (ACCESS_STATE_CHANGED, CAPACITY_CHANGED, NON_OPTIMIZED, OPTIMIZED, READ_ONE, TEST_UNIT_READY,
                       TRANSITIONING, UNAVAILABLE, Path, SteadyWriter, capacity)

DISKS = ("disk_1", "disk_2")
GATEWAYS = f"/iscsi-targets/{IQN}/gateways"


@contextlib.contextmanager
def pair(addresses=("127.0.0.1", "127.0.0.2"), prefix=(), **rbdgate):
    with harness.folder() as folder:
        gateways = [Gateway(folder / f"gw-{n}", name=f"gw-{n}", store=f"dir:{folder / 'store'}", address=address,
                            prefix=prefix, rbdgate={"return_after": 0, **rbdgate})
                    for n, address in enumerate(addresses, 1)]
        try:
            for gw in gateways:
                gw.start()
            make_target(gateways[0], disks=(), user=None)
            gateways[0].call("PUT", f"/gateway/{IQN}/gw-2", ip_address=addresses[1], skipchecks="true")
            for disk in DISKS:
                gateways[0].call("PUT", f"/disk/rbd/{disk}", mode="create", size="64M")
                gateways[0].call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")
            wait_for_owners(gateways[0], gw_1=1, gw_2=1)
            yield gateways
            for gw in gateways:
                gw.stop()
        except BaseException:
            for gw in gateways:
                gw.kill()
                for program in (gw.io, gw.api):
                    for line in harness.tail(program.log, 60).splitlines():
                        print(f"# {gw.name} {program.name}: {line}")
            raise


def owners(gw):
    return gw.call("GET", "/rbdgate/owners")


def owner(gw, disk):
    return owners(gw)["luns"][f"rbd/{disk}"]["owner"]


def epochs(gw):
    """They count up with each change of owner."""
    return {name: lun["epoch"] for name, lun in owners(gw)["luns"].items()}


def wait_for_owners(gw, gw_1, gw_2):
    def there():
        found = [lun["owner"] for lun in owners(gw)["luns"].values()]
        return (found.count("gw-1"), found.count("gw-2")) == (gw_1, gw_2)
    wait_for(there, f"owners of {len(DISKS)} LUNs: {gw_1} at gw-1, {gw_2} at gw-2")


def kinds(gw):
    return [event["kind"] for event in gw.call("GET", "/rbdgate/history?count=1000")["events"]]


@case
def owners_are_shown_and_moved():
    with pair() as (first, second):
        wanted = "rbd/disk_1 (Online, 64M), Owner: gw-1]", "rbd/disk_2 (Online, 64M), Owner: gw-2]"
        wait_for(lambda: all(row in first.gwcli("ls", "/disks") for row in wanted), "both LUNs online at their owners")
        info = first.call("GET", "/gatewayinfo")["rbdgate"]
        expect({n: g["state"] for n, g in info["gateways"].items()} == {"gw-1": "up", "gw-2": "up"}, info)
        second.gwcli("/disks/rbd/disk_1", "owner", "gw-2")
        wait_for(lambda: owner(first, "disk_1") == "gw-2", "the new owner")
        wait_for(lambda: first.call("GET", "/disk/rbd/disk_1")["status"]["lock_owner"] == "gw-2", "lock owner")
        config = first.call("GET", "/config")
        expect([config["gateways"][g]["active_luns"] for g in ("gw-1", "gw-2")] == [0, 2], config["gateways"])

        def told():
            return [(event["kind"], event["text"].split(", epoch")[0])
                    for event in first.call("GET", "/rbdgate/history?count=1000")["events"] if event["lun"] == "rbd/disk_1"]
        move = [("hand-over", "gw-2 owns it now"), ("hand-over", "gw-1 gave it back for gw-2 (request)"),
                ("owner", "Preferred owner of rbd/disk_1 is gw-2, asked for at gw-2")]
        wait_for(lambda: told()[:3] == move, "the history of the move, and of who asked for it")


@case
def a_drained_gateway_owns_nothing_until_it_is_undrained():
    with pair() as (first, second):
        first.gwcli(GATEWAYS, "drain", "gw-2")
        wait_for_owners(first, gw_1=2, gw_2=0)
        expect("maintenance, LUNs: 0]" in first.gwcli("ls", GATEWAYS), "the tree")
        before = epochs(first)
        second.io.stop()
        second.io.start()
        second.wait_ready()

        def healthy():  # for longer than a return waits
            return any(m["instance"] == second.status()["instance"] and m["health"] == "up" and m["since_s"] >= 2
                       for m in first.status()["members"])
        wait_for(healthy, "gw-2 as a peer of gw-1 again")
        refused = first.gwcli(GATEWAYS, "drain", "gw-1", check=False)
        expect("could take the LUNs of gw-1 now" in str(refused), refused)
        wait_for_owners(first, gw_1=2, gw_2=0)
        expect_eq(epochs(first), before, "changes of owner while gw-2 is drained")
        first.gwcli(GATEWAYS, "undrain", "gw-2")
        wait_for_owners(first, gw_1=1, gw_2=1)
        wait_for(lambda: kinds(first).count("drain") == 2, "two drains in the history")


@case
def a_gateway_of_another_target_is_given_nothing():
    with pair() as (first, second):
        disks = [*DISKS, *(f"disk_{n}" for n in range(3, 7))]  # each would have it for its heir by even chances
        for disk in disks[2:]:
            first.call("PUT", f"/disk/rbd/{disk}", mode="create", size="16M")
            first.call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")
        wait_for_owners(first, gw_1=3, gw_2=3)
        third = Gateway(first.folder.parent / "gw-3", name="gw-3", store=f"dir:{first.folder.parent / 'store'}",
                        address="127.0.0.3", rbdgate={"return_after": 0})
        try:
            third.start()
            first.call("PUT", f"/target/{IQN}.other")
            first.call("PUT", f"/gateway/{IQN}.other/gw-3", ip_address="127.0.0.3", skipchecks="true")
            wait_for(lambda: all(any(m["gateway"] == "gw-3" and m["health"] == "up" for m in gw.status()["members"])
                                 for gw in (first, second)), "gw-3 as a peer of both")
            first.gwcli(GATEWAYS, "drain", "gw-1")
            wait_for_owners(first, gw_1=0, gw_2=6)
        finally:
            third.stop()
        first.gwcli(GATEWAYS, "undrain", "gw-1")
        wait_for_owners(first, gw_1=3, gw_2=3)


@case
def a_dead_gateway_loses_its_luns_and_gets_them_back():
    with pair() as (first, second):
        second.io.kill()
        wait_for_owners(first, gw_1=2, gw_2=0)
        tree = first.gwcli("ls", "/disks")
        expect("Owner: gw-1 (" in tree, tree)
        wait_for(lambda: "take-over" in first.gwcli("history", "1000"), "the history to tell of it")
        second.io.start()
        second.wait_ready()
        wait_for_owners(first, gw_1=1, gw_2=1)


@case
def all_paths_tell_the_same_access_states_and_each_change_once():
    with pair() as gateways:
        first, second = gateways
        paths = [Path(gw, 0) for gw in gateways]
        steps = [
            (lambda: None, (OPTIMIZED, NON_OPTIMIZED), 0),
            (lambda: first.gwcli("/disks/rbd/disk_1", "owner", "gw-2"), (NON_OPTIMIZED, OPTIMIZED), 1),
            (lambda: first.gwcli(GATEWAYS, "drain", "gw-2"), (OPTIMIZED, NON_OPTIMIZED), 1),
            (lambda: first.gwcli(GATEWAYS, "undrain", "gw-2"), (NON_OPTIMIZED, OPTIMIZED), 1),
        ]
        for change, states, times in steps:
            change()
            for path in paths:
                path.wait(*states)
                expect_eq(path.told(), ([ACCESS_STATE_CHANGED] * times, times), f"told by {path.gw.name}")
        second.io.kill()
        paths[0].wait(OPTIMIZED, UNAVAILABLE)
        told, changes = paths[0].told()
        # two changes may be told before the states are asked for: the second while the question is repeated after the first
        expect(set(told) == {ACCESS_STATE_CHANGED} and 1 <= changes <= len(told) <= 2, f"{told}, {changes} changes")
        second.io.start()
        second.wait_ready()
        paths[1] = Path(second, 0)
        for path in paths:
            path.wait(NON_OPTIMIZED, OPTIMIZED)


@case
def a_lun_that_nobody_takes_is_told_to_be_transitioning():
    with pair() as (first, second):
        first.gwcli(GATEWAYS, "drain", "gw-1")
        wait_for_owners(second, gw_1=0, gw_2=2)
        path = Path(first, 0)
        path.wait(NON_OPTIMIZED, OPTIMIZED)
        second.io.kill()
        path.wait(NON_OPTIMIZED, UNAVAILABLE)  # for as long as commands wait, or hear BUSY
        path.wait(TRANSITIONING, UNAVAILABLE)
        expect_eq(path.told(), ([ACCESS_STATE_CHANGED] * 2, 2), "told")
        read = path.command(READ_ONE, in_len=512)
        expect_eq(read.sense, 0x02040a, "a read meanwhile")
        second.io.start()
        second.wait_ready()
        path.wait(NON_OPTIMIZED, OPTIMIZED)
        expect_eq(path.told()[0][0], ACCESS_STATE_CHANGED, "told")
        expect_eq(path.command(READ_ONE, again=True, in_len=512).status, 0, "a read")


@case
def a_stop_does_not_wait_for_path_checkers():
    with pair() as (first, second):
        paths = [Path(second, lun, f"iqn.1994-05.test:checker-{lun}") for lun in (0, 1)]
        others = [Path(first, path.lun, path.name) for path in paths]
        asked, over = [0], threading.Event()

        def ask():
            with contextlib.suppress(OSError, harness.Failure):
                while not over.is_set():  # as multipathd does with `tur`, and more often
                    for path in paths:
                        path.command(TEST_UNIT_READY)
                        path.ask()
                    asked[0] += 1

        checker = threading.Thread(target=ask)
        checker.start()
        wait_for(lambda: asked[0] > 10, "a checker that asks")
        second.stop()
        over.set()
        checker.join()
        for path, most in zip(paths, (1, 2)):  # the second LUN finds another owner as well
            expect_eq(path.states, [OPTIMIZED, UNAVAILABLE], "the last word")
            told = path.attentions.count(ACCESS_STATE_CHANGED)
            expect(1 <= path.changes <= told <= most and told == len(path.attentions),
                   f"LUN {path.lun}: {path.changes} changes, told {path.attentions}")
        log = second.io.log.read_text()
        expect("gw-2: no I/O comes any more" in log and "I/O still comes" not in log, log)
        wait_for_owners(first, gw_1=2, gw_2=0)
        for other in others:
            expect_eq(other.ask(), [OPTIMIZED, UNAVAILABLE], "through the other gateway")
        second.start()


@case
def who_has_no_other_path_is_not_told_that_its_gateway_stops():
    """Linux fails what it has for a path that is unavailable, also if it has no other one, instead of waiting."""
    with pair() as (first, second):
        alone, other = Path(second, 0, "iqn.1994-05.test:alone"), Path(first, 0, "iqn.1994-05.test:both")
        both = Path(second, 0, other.name)
        told, over = {alone: [], both: []}, threading.Event()

        def use(path):
            with contextlib.suppress(OSError, harness.Failure):
                while not over.is_set():
                    told[path].append((tuple(path.ask()), path.command(READ_ONE, in_len=512).status))

        users = [threading.Thread(target=use, args=(path,)) for path in told]
        for user in users:
            user.start()
        wait_for(lambda: all(len(seen) > 10 for seen in told.values()), "I/O")
        second.io.stop()
        over.set()
        for user in users:
            user.join()
        unavailable = (OPTIMIZED, UNAVAILABLE)
        expect_eq(told[both][-1], (unavailable, 0), "the last word to who has another path")
        expect(unavailable not in dict(told[alone]), f"told to who has none: {set(told[alone])}")
        expect_eq(told[alone][-1], ((OPTIMIZED, NON_OPTIMIZED), 0), "the last word to who has none")
        expect_eq([status for seen in told.values() for _, status in seen if status], [], "commands that failed")
        second.io.start()


@case
def a_new_gateway_takes_its_share_while_initiators_write():
    with pair() as gateways:
        first = gateways[0]
        disks = [*DISKS, *(f"disk_{n}" for n in range(3, 7))]
        for disk in disks[2:]:
            first.call("PUT", f"/disk/rbd/{disk}", mode="create", size="16M")
            first.call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")

        def shares():
            return [sum(lun["owner"] == f"gw-{n}" for lun in owners(first)["luns"].values()) for n in (1, 2, 3)]
        wait_for(lambda: shares() == [3, 3, 0], "owners of six LUNs")
        writer = SteadyWriter(first, range(len(disks)))
        third = Gateway(first.folder.parent / "gw-3", name="gw-3", store=f"dir:{first.folder.parent / 'store'}",
                        address="127.0.0.3", rbdgate={"return_after": 0})
        try:
            third.start()
            first.call("PUT", f"/gateway/{IQN}/gw-3", ip_address="127.0.0.3", skipchecks="true")
            expect_eq(shares(), [3, 3, 0], "as with ceph-iscsi, no disk that is there prefers the new gateway")
            before = epochs(first)
            told = first.gwcli(GATEWAYS, "balance")
            expect("2 preferred owner(s) changed: " in told and told.count(" to gw-3") == 2, told)
            wait_for(lambda: shares() == [2, 2, 2], "a share for each")
            writer.wait_for_more(20)
            # No write waits for a LUN that stays where it is.
            moved = {name for name, epoch in epochs(first).items() if epoch != before[name]}
            expect_eq(moved, {name for name, lun in owners(first)["luns"].items() if lun["owner"] == "gw-3"}, "LUNs that moved")
        finally:
            pause_s, errors = writer.stop()
            third.stop()
        print(f"# longest write: {pause_s * 1000:.0f} ms of {writer.count} writes")
        expect_eq(errors, [], "writes that failed")  # nor was one held for so long that it was told BUSY
        wait_for(lambda: shares() == [3, 3, 0], "the others to have them again")


@case
def explicit_access_states_are_accepted_and_implicit():
    with harness.gateway(settings={"alua_failover_type": "explicit"}) as gw:
        make_target(gw, user=None)
        log = gw.io.log.read_text()
        expect("setting alua_failover_type = explicit: access states are implicit" in log, log)
        path = Path(gw, 0)
        path.wait(OPTIMIZED)
        expect_eq(path.command([0x12, 0, 0, 0, 96, 0], in_len=96).data[5] >> 4 & 3, 1, "TPGS: implicit only")
        set_port_groups = [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        expect_eq(path.command(set_port_groups).sense >> 16, 5, "SET TARGET PORT GROUPS")


def run_io(gw, program, env=None):
    """Starts the target of a gateway that does not run, which may be the one with planted faults."""
    gw.io.command[0] = str(harness.BIN / program)
    gw.io.env = env
    gw.io.start()
    gw.wait_ready()


def hang_storage(gw, other):
    """From now on no command of the gateway's own LUN ends."""
    gw.io.stop()
    run_io(gw, "rbd-target-io-planted", dict(os.environ, RBDGATE_PLANTED="hung"))
    wait_for_owners(other, gw_1=1, gw_2=1)


@case
def a_stop_does_not_wait_for_an_owner_that_hangs():
    with pair() as (first, second):
        hang_storage(first, second)
        path = Path(second, 0)  # disk_1 is gw-1's
        path.session.start([0x2a, *READ_ONE[1:]], bytes(512))
        wait_for(lambda: any(lun["in_flight"] for lun in first.status()["luns"]), "a write that hangs at its owner")
        second.stop()
        log = second.io.log.read_text()
        expect("those that are at other gateways are left there" in log, log)
        first.io.kill()
        run_io(first, "rbd-target-io")
        wait_for_owners(first, gw_1=2, gw_2=0)


@case
def a_stop_does_not_wait_for_its_own_storage_that_hangs_and_another_takes_what_is_left():
    with pair() as (first, second):
        hang_storage(first, second)
        paths = [Path(gw, 0) for gw in (first, second)]  # disk_1 is gw-1's
        tags = [path.session.start([0x2a, *READ_ONE[1:]], bytes(512)) for path in paths]
        wait_for(lambda: any(lun["in_flight"] == 2 for lun in first.status()["luns"]), "two writes that hang")
        first.io.process.send_signal(signal.SIGTERM)
        code = first.io.process.wait(60)
        log = first.io.log.read_text()
        expect(code == 1 and "not given to others: rbd/disk_1\n" in log and "LUNs left behind: rbd/disk_1\n" in log,
               f"{code}: {log}")
        wait_for_owners(second, gw_1=0, gw_2=2)
        # Executed or not, nobody can tell.
        expect_eq(paths[1].session.finish(tags[1]).sense, 0x0b0800, "the write that was forwarded")
        expect_eq(paths[1].command([0x2a, *READ_ONE[1:]], again=True, out=bytes(512)).status, 0, "the same write again")
        run_io(first, "rbd-target-io")
        wait_for_owners(first, gw_1=1, gw_2=1)


@case
def a_new_size_is_told_once_at_every_gateway():
    with pair() as gateways:
        paths = [Path(gw, 0) for gw in gateways]  # disk_1 is gw-1's
        for at, size in enumerate(("80M", "96M")):
            gateways[at].call("PUT", "/disk/rbd/disk_1", mode="resize", size=size)
            for path in paths:
                wait_for(lambda: capacity(path) == int(size[:-1]) << 20, f"{size} at {path.gw.name}")
                expect_eq(path.told(), ([CAPACITY_CHANGED], 0), f"told by {path.gw.name}")


@contextlib.contextmanager
def namespace(*addresses):
    """A host that has these IPv6 addresses and no IPv4 but for loopback."""
    name = f"rg{os.getpid()}-v6"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        for address in addresses:
            run("ip", "-n", name, "addr", "add", f"{address}/64", "dev", "lo", "nodad")
        yield prefix_of(name)
    finally:
        subprocess.run(["ip", "netns", "del", name])


def every_path_serves(gateways, prefix, disk, pattern):
    lun = DISKS.index(disk)
    for gw in gateways:
        out = run(*prefix, "qemu-io", "-f", "raw", "-c", f"write -P {pattern} 1M 64k", "-c",
                  f"read -P {pattern} 1M 64k", gw.url(lun))
        expect("failed" not in out.lower() and "read 65536/65536" in out, out)


@case
def portals_and_the_interconnect_work_over_ipv6():
    addresses = ("fd77::1", "fd77::2")
    with namespace(*addresses) as prefix, pair(addresses, prefix) as gateways:
        first, second = gateways
        told = owners(first)["gateways"]
        for name, address in zip(("gw-1", "gw-2"), addresses):
            expect(told[name]["interconnect"].startswith(f"[{address}]:"), told)
        for disk in DISKS:
            every_path_serves(gateways, prefix, disk, 0x61)
        expect(all(sum(lun["forwarded"] for lun in gw.status()["luns"]) > 0 for gw in gateways), "nothing forwarded")
        second.io.kill()
        wait_for_owners(first, gw_1=2, gw_2=0)
        for disk in DISKS:
            every_path_serves([first], prefix, disk, 0x62)
        second.io.start()
        second.wait_ready()
        wait_for_owners(first, gw_1=1, gw_2=1)
        every_path_serves(gateways, prefix, DISKS[1], 0x63)


@case
def the_interconnect_follows_a_gateway_to_its_new_portal():
    with pair() as (first, second):
        path = Path(first, 1)  # disk_2 is gw-2's
        first.call("DELETE", f"/gateway/{IQN}/gw-2")
        wait_for_owners(first, gw_1=2, gw_2=0)
        first.call("PUT", f"/gateway/{IQN}/gw-2", ip_address="127.0.0.3", skipchecks="true")
        wait_for(lambda: owners(first)["gateways"].get("gw-2", {}).get("interconnect", "").startswith("127.0.0.3:"),
                 "the new address in the registration")
        first.gwcli("/disks/rbd/disk_2", "owner", "gw-2")
        wait_for_owners(first, gw_1=1, gw_2=1)
        expect_eq(path.command(READ_ONE, in_len=512, again=True).status, 0, "status of a read through gw-1")
        first.io.kill()  # its next life knows the new address only
        first.io.start()
        first.wait_ready()
        wait_for_owners(first, gw_1=1, gw_2=1)
        wait_for(lambda: any(m["health"] == "up" for m in first.status()["members"]), "gw-2 as a peer of gw-1 again")


@case
def people_see_that_two_gateways_that_live_do_not_reach_each_other():
    with pair() as (first, second):
        expect("unreachable" not in first.gwcli("ls", GATEWAYS), "all is well")
        row = next((first.folder.parent / "store" / "rows").glob("*gateway*gw-2"))
        first.io.stop()
        told = row.read_text()
        row.write_text(re.sub(r'"interconnect":\s*"[^"]*"', '"interconnect":"127.0.0.1:1"', told))  # a firewall, say
        first.io.start()
        first.wait_ready()
        wait_for(lambda: "LUNs: 1, unreachable from gw-1]" in first.gwcli("ls", GATEWAYS), "gw-2 in the tree of gw-1")
        expect_eq(owners(first)["gateways"]["gw-2"]["unreachable_from"], "gw-1", "gw-2 as gw-1 tells of it")
        expect_eq(first.call("GET", "/gatewayinfo")["rbdgate"]["gateways"]["gw-2"]["unreachable_from"], "gw-1", "likewise")
        expect("Unreachable From" in first.gwcli(f"{GATEWAYS}/gw-2", "info"), "info of gw-2")
        expect("unreachable_from" not in owners(second)["gateways"]["gw-1"], "the other way it can be reached")
        row.write_text(told)
        wait_for(lambda: "unreachable" not in first.gwcli("ls", GATEWAYS), "gw-2 as a peer of gw-1")


@case
def a_new_secret_of_the_cluster_is_learnt_when_it_is_needed():
    with pair() as (first, second):
        rows = list((first.folder.parent / "store" / "rows").glob("*secret*"))
        expect_eq(len(rows), 1, "rows with the secret")
        old = rows[0].read_text()
        rows[0].unlink()
        second.io.stop()
        second.io.start()  # makes a new one
        second.wait_ready()
        wait_for(lambda: rows[0].exists() and rows[0].read_text() != old, "another secret")
        wait_for(lambda: all(any(m["health"] == "up" for m in gw.status()["members"]) for gw in (first, second)),
                 "peers of both")
        wait_for_owners(first, gw_1=1, gw_2=1)
        path = Path(first, 1)  # disk_2 is gw-2's
        expect_eq(path.command(READ_ONE, in_len=512, again=True).status, 0, "status of a read through gw-1")


@case
def the_interconnect_has_an_ipv6_address_of_its_own():
    with namespace("fd78::1") as prefix:
        # Two processes of one host: the port tells them apart.
        with pair(prefix=prefix, interconnect_address="[fd78::1]") as gateways:
            told = owners(gateways[0])["gateways"]
            expect(all(g["interconnect"].startswith("[fd78::1]:") for g in told.values()), told)
            every_path_serves(gateways, prefix, DISKS[0], 0x64)


harness.main()
