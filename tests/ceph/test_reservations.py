#!/usr/bin/env python3
"""Persistent reservations through two gateways: one truth on every path, which outlives the death and
the restart of its owner."""
import contextlib
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway_site
import harness
from gateway_site import PORT
from harness import Network, case, expect, expect_eq, wait_for
from initiator import CONFLICT, GOOD, Session

NAMES = {"ceph-gw-1": "10.77.0.1", "ceph-gw-2": "10.77.0.2"}
HOST_1, HOST_2 = "iqn.2000-01.test:host-1", "iqn.2000-01.test:host-2"
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE = range(7)
WRITE_EXCLUSIVE_REGISTRANTS = 5
APTPL = 1
READ, WRITE = 0x28, 0x2a
FILL, LATE = b"\x5a" * 512, b"\x99" * 512
# Not about the command: executed or not, nobody knows; access states, capacity and sessions changed.
AGAIN = (0x0b0800, 0x062a06, 0x062a09, 0x062901)


class Site(gateway_site.Site):
    def __init__(self, stack):
        self.sessions = []
        super().__init__(stack, stack.enter_context(Network(NAMES)), NAMES, ["disk_1"], size="1G",
                         settings={"minimum_gateways": 2})

    def end(self):
        for session in self.sessions:
            session.close()
        super().end()

    def states(self):
        found = {}
        for gw in self.gateways:
            with contextlib.suppress(OSError):
                found[gw.name] = next((l["state"] for l in gw.status()["luns"] if l["name"] == "rbd/disk_1"), "")
        return found

    def owner(self):
        """The gateway that serves the LUN, when every gateway that runs has it served or forwarded."""
        def settled():
            states = self.states()
            owners = [name for name, state in states.items() if state == "ready"]
            return owners[0] if len(owners) == 1 and all(s in ("ready", "forwarded") for s in states.values()) \
                else None
        name = wait_for(settled, "one owner of the LUN", deadline_s=60)
        return next(gw for gw in self.gateways if gw.name == name)

    def other(self, gateway):
        return next(gw for gw in self.gateways if gw is not gateway)

    def session(self, gateway, name):
        session = Session(gateway.address, PORT, name, namespace=self.network.hub)
        self.sessions.append(session)
        session.heard = session.attentions()
        return session


@contextlib.contextmanager
def site():
    with contextlib.ExitStack() as stack:
        s = Site(stack)
        try:
            s.start()
            yield s
        except BaseException:
            s.logs()
            raise


def run_command(session, cdb, out=b"", in_len=0):
    while (answer := session.insist(cdb, out, in_len)).sense in AGAIN:
        pass
    return answer


def attentions(session):
    return [sense for sense in session.attentions() if sense not in AGAIN]


def order_cdb(action, kind=WRITE_EXCLUSIVE_REGISTRANTS):
    typed = action in (RESERVE, RELEASE, PREEMPT, PREEMPT_AND_ABORT)
    return struct.pack(">BBBHIB", 0x5f, action, kind if typed else 0, 0, 24, 0)


def order_list(key, action_key=0, flags=0):
    return struct.pack(">QQ4xBxxx", key, action_key, flags)


def order(session, action, key=0, action_key=0, flags=0):
    """PERSISTENT RESERVE OUT."""
    return run_command(session, order_cdb(action), order_list(key, action_key, flags))


def good(answer):
    expect(answer.status == GOOD, f"wanted GOOD: {answer}")


def ask(session, action):
    answer = run_command(session, [0x5e, action, 0, 0, 0, 0, 0, 0x10, 0, 0], in_len=4096)
    good(answer)
    return answer.data


def keys(session):
    data = ask(session, 0)
    return sorted(struct.unpack(f">{len(data[8:]) // 8}Q", data[8:]))


def holder(session):
    data = ask(session, 1)
    return (struct.unpack(">Q", data[8:16])[0], data[21]) if len(data) >= 24 else None


def block_cdb(opcode, block):
    """READ(10) or WRITE(10) of one block."""
    return struct.pack(">BBIBHB", opcode, 0, block, 0, 1, 0)


def write(session, block=0):
    return run_command(session, block_cdb(WRITE, block), FILL)


def read(session, block):
    answer = run_command(session, block_cdb(READ, block), in_len=len(FILL))
    good(answer)
    return answer.data


def expect_same(*sessions):
    """Every path answers every question alike."""
    for action in range(4):
        first, *others = [ask(session, action) for session in sessions]
        for data in others:
            expect_eq(data, first, f"PERSISTENT RESERVE IN, service action {action}")


@case
def both_gateways_tell_and_keep_one_truth():
    with site() as s:
        owner = s.owner()
        first = s.session(s.other(owner), HOST_1)  # forwarded
        second = s.session(owner, HOST_2)
        good(order(first, REGISTER, 0, 0x11))
        good(order(second, REGISTER, 0, 0x22))
        expect_eq(keys(first), [0x11, 0x22], "keys")
        good(order(first, RESERVE, 0x11))
        expect_eq(holder(second), (0x11, 5), "reservation")
        expect_same(first, second)
        good(write(first))
        good(write(second))
        # A second path of the first host is another nexus: it is not registered.
        third = s.session(owner, HOST_1)
        expect(write(third).status == CONFLICT, "an unregistered nexus wrote at the owner")
        good(order(second, REGISTER, 0x22, 0))
        expect(write(second).status == CONFLICT, "a nexus wrote after it had unregistered")
        fourth = s.session(s.other(owner), HOST_2)
        expect(write(fourth).status == CONFLICT, "an unregistered nexus wrote through the other gateway")
        # What is released at one gateway is told at the other.
        good(order(second, REGISTER, 0, 0x22))
        good(order(first, RELEASE, 0x11))
        expect_eq(attentions(second), [0x062a04], "attention at the owner")
        good(order(second, RESERVE, 0x22))
        good(order(second, RELEASE, 0x22))
        expect_eq(attentions(first), [0x062a04], "attention at the other gateway")
        # PREEMPT AND ABORT, in both directions.
        good(order(first, RESERVE, 0x11))
        good(order(second, PREEMPT_AND_ABORT, 0x22, 0x11))
        expect_eq(attentions(first), [0x062a05], "attention of who was thrown out")
        expect(write(first).status == CONFLICT, "who was thrown out wrote")
        good(order(first, REGISTER, 0, 0x11))
        good(order(first, PREEMPT_AND_ABORT, 0x11, 0x22))
        expect_eq(attentions(second), [0x062a05], "attention of who was thrown out")
        expect(write(second).status == CONFLICT, "who was thrown out wrote")
        expect_same(first, second, third, fourth)
        good(order(first, CLEAR, 0x11))
        good(write(fourth))


@case
def a_full_cluster_fences_all_the_same():
    with site() as s:
        owner = s.owner()
        first, second = s.session(s.other(owner), HOST_1), s.session(owner, HOST_2)
        good(order(first, REGISTER, 0, 0x11, APTPL))
        s.cluster.rig("full", "on")
        good(order(second, REGISTER, 0, 0x22, APTPL))
        good(order(first, RESERVE, 0x11))
        good(order(second, PREEMPT_AND_ABORT, 0x22, 0x11))
        expect_eq(attentions(first), [0x062a05], "attention of who was thrown out")
        expect_eq(keys(first), [0x22], "keys")
        expect(write(first).status == CONFLICT, "who was thrown out wrote")
        expect_same(first, second)
        s.cluster.rig("full", "off")
        good(order(second, CLEAR, 0x22))


@case
def reservations_outlive_the_death_of_their_owner():
    with site() as s:
        for end in ("kill", "stop"):
            owner = s.owner()
            survivor = s.other(owner)
            first, second = s.session(survivor, HOST_1), s.session(survivor, HOST_2)
            dying = s.session(owner, HOST_2)
            good(order(first, REGISTER_AND_IGNORE, 0, 0x11))
            good(order(dying, REGISTER_AND_IGNORE, 0, 0x22))
            good(order(first, RESERVE, 0x11))
            before = [ask(first, action) for action in range(4)]
            getattr(owner.io, end)()
            # Nobody sees a moment without the reservation.
            expect(write(second).status == CONFLICT, f"who is not registered wrote after the {end}")
            good(write(first))
            expect_eq([ask(first, action) for action in range(4)], before, f"answers after the {end}")
            owner.io.start()
            owner.wait_ready()
            s.owner()
            back = s.session(owner, HOST_2)
            good(write(back))  # the same nexus as before: still registered
            expect_same(first, second, back)
            good(order(back, PREEMPT_AND_ABORT, 0x22, 0x11))
            expect_eq(attentions(first), [0x062a05], "attention")
            good(order(back, CLEAR, 0x22))


@case
def an_order_that_waits_at_a_frozen_owner_never_wins_and_no_write_of_who_was_thrown_out():
    with site() as s:
        owner = s.owner()
        survivor = s.other(owner)
        first, frozen, forwarded = s.session(survivor, HOST_1), s.session(owner, HOST_2), s.session(survivor, HOST_2)
        good(order(first, REGISTER, 0, 0x11))
        for block, session in enumerate((frozen, forwarded)):
            good(order(session, REGISTER, 0, 0x22))
            good(write(session, block))
        good(order(frozen, RESERVE, 0x22))
        instance = s.instance(owner)
        owner.io.freeze()
        tags = [frozen.start(block_cdb(WRITE, 0), LATE), frozen.start(order_cdb(CLEAR), order_list(0x22))]
        unknown = forwarded.start(block_cdb(WRITE, 1), LATE)
        good(order(first, PREEMPT_AND_ABORT, 0x11, 0x22))
        before = [ask(first, action) for action in range(4)]
        answer = forwarded.finish(unknown)
        expect_eq(answer.sense, 0x0b0800, "what is told of a write that the frozen owner has")
        owner.io.thaw()
        wait_for(lambda: frozen.dead, "the end of the session of the past")
        expect(not {*tags} & {*frozen.answers}, f"who is fenced drops what waits without an answer: {frozen.answers}")
        wait_for(lambda: s.instance(owner) not in (None, instance), "a new instance in the same process")
        owner.wait_ready()
        wait_for(lambda: s.states().get(owner.name) in ("ready", "forwarded"), "the old owner back in service")
        back = s.session(owner, HOST_2)
        # It had sent nothing to the new owner when that threw it out.
        expect(0x062a05 in back.heard, f"who was thrown out heard {back.heard}")
        expect_eq([ask(first, action) for action in range(4)], before, "answers after the old owner woke up")
        expect_same(first, back)
        expect(write(back).status == CONFLICT, "who was thrown out wrote")
        expect_eq(attentions(forwarded), [0x062a05], "attention of its other path")
        expect(write(forwarded).status == CONFLICT, "who was thrown out wrote by its other path")
        expect_eq(holder(back), (0x11, 5), "reservation")
        expect_eq([read(first, block) for block in range(2)], [FILL, FILL], "what late writes have left")


@case
def after_all_gateways_were_down_only_what_was_asked_to_is_left():
    with site() as s:
        last, other = s.gateways
        for flags in (APTPL, 0):
            first = s.session(s.owner(), HOST_1)
            good(order(first, REGISTER_AND_IGNORE, 0, 0x11, flags))
            good(order(first, RESERVE, 0x11))
            expect_eq(ask(first, 2)[2:4], bytes([0x1d, 0x90 | flags]), "capabilities")
            other.stop()
            expect_eq(s.owner(), last, "owner")
            last.kill()
            # The first one that is back knows that nobody was there; who comes later finds it up.
            for gw in s.gateways:
                gw.start()
                s.owner()
                session = s.session(gw, HOST_2)
                left = [0x11] if flags else []
                expect_eq(keys(session), left, f"keys through {gw.name}, APTPL {flags}")
                expect_eq(write(session).status, CONFLICT if flags else GOOD, f"write through {gw.name}")


harness.main()
