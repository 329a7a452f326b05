"""A small iSCSI initiator for tests that need to choose each CDB: one session, one connection, no
CHAP, no digests. A thread answers the target's pings, so a session may be idle."""
import ctypes
import os
import socket
import struct
import threading
import time

from harness import IQN, Failure, expect, wait_for

CLONE_NEWNET = 0x40000000
NO_TAG = 0xffffffff
GOOD, CHECK_CONDITION, BUSY, CONFLICT = 0x00, 0x02, 0x08, 0x18
COMING = (0x020401, 0x02040a)  # NOT READY, but that will pass
ACCESS_STATE_CHANGED, CAPACITY_CHANGED = 0x062a06, 0x062a09
OPTIMIZED, NON_OPTIMIZED, UNAVAILABLE, TRANSITIONING = 0, 1, 3, 15
TEST_UNIT_READY = [0] * 6
READ_ONE = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]
REPORT_PORT_GROUPS = [0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0]


def connect_in(namespace, address, port, timeout):
    """A socket belongs to the network namespace in which it was made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{namespace}") as there:
        expect(libc.setns(there.fileno(), CLONE_NEWNET) == 0, f"setns: {os.strerror(ctypes.get_errno())}")
        try:
            return socket.create_connection((address, port), timeout=timeout)
        finally:
            expect(libc.setns(here.fileno(), CLONE_NEWNET) == 0, "setns back")


class Answer:
    def __init__(self, status, data=b"", sense=b""):
        self.status, self.data = status, data
        self.sense = (sense[2] & 15) << 16 | sense[12] << 8 | sense[13] if len(sense) > 13 else 0

    def __repr__(self):
        return f"status {self.status:02x} sense {self.sense:06x}"

    def is_later(self):
        """Not executed, and no verdict: initiators ask again. The LUN is on its way to a gateway for long."""
        return self.status == BUSY or self.sense in COMING


class Session:
    def __init__(self, address, port, name, isid=1, namespace=None, target=IQN, timeout=30):
        self.timeout = timeout
        self.socket = connect_in(namespace, address, port, timeout) if namespace else \
            socket.create_connection((address, port), timeout=timeout)
        self.lock = threading.Condition()
        self.isid = bytes([0x00, 0x02, 0x3d, 0, 0, isid])
        self.command_sn, self.expected_stat_sn, self.tag = 1, 0, 1
        self.answers, self.data, self.dead = {}, {}, None
        self.login(name, target)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def send(self, header, data=b""):
        header = header[:4] + b"\0" + len(data).to_bytes(3, "big") + header[8:]
        self.socket.sendall(header + data + b"\0" * (-len(data) % 4))

    def receive(self):
        def exactly(count):
            data = b""
            while len(data) < count:
                more = self.socket.recv(count - len(data))
                if not more:
                    raise OSError("the target closed the connection")
                data += more
            return data
        header = exactly(48)
        length = int.from_bytes(header[5:8], "big")
        exactly(4 * header[4])
        return header, exactly(length + -length % 4)[:length]

    def login(self, name, target):
        keys = {"InitiatorName": name, "TargetName": target, "SessionType": "Normal", "HeaderDigest": "None",
                "DataDigest": "None", "InitialR2T": "Yes", "ImmediateData": "Yes", "ErrorRecoveryLevel": "0",
                "MaxConnections": "1", "MaxRecvDataSegmentLength": "262144"}
        text = "".join(f"{key}={value}\0" for key, value in keys.items()).encode()
        self.send(struct.pack(">BBBBI6sHIHHII16x", 0x43, 0x87, 0, 0, 0, self.isid, 0, self.tag, 0, 0,
                              self.command_sn, 0), text)
        header, text = self.receive()
        expect(header[0] == 0x23 and header[36] == 0 and header[1] == 0x87,
               f"login: {header.hex()} {text!r}")
        self.expected_stat_sn = struct.unpack(">I", header[24:28])[0] + 1

    def read(self):
        try:
            self.socket.settimeout(None)
            while True:
                header, data = self.receive()
                with self.lock:
                    self.take(header, data)
                    self.lock.notify_all()
        except OSError as error:
            with self.lock:
                self.dead = error
                self.lock.notify_all()

    def take(self, header, data):
        opcode, flags = header[0] & 0x3f, header[1]
        tag, transfer_tag, stat_sn = struct.unpack(">III", header[16:28])
        if opcode == 0x20 and transfer_tag != NO_TAG:  # NOP-In that wants an answer
            self.send(struct.pack(">BBH4x8sIIII16x", 0x40, 0x80, 0, header[8:16], NO_TAG, transfer_tag,
                                  self.command_sn, self.expected_stat_sn))
            return
        if opcode == 0x25:
            offset = struct.unpack(">I", header[40:44])[0]
            expect(offset == len(self.data.get(tag, b"")), "Data-In out of order")
            self.data[tag] = self.data.get(tag, b"") + data
        has_status = opcode in (0x21, 0x32) or (opcode == 0x25 and flags & 1)
        if has_status:
            self.expected_stat_sn = stat_sn + 1
        if opcode == 0x21:
            expect(header[2] == 0, f"response {header[2]:02x}")
            self.answers[tag] = Answer(header[3], self.data.pop(tag, b""), data[2:])
        elif opcode == 0x25 and flags & 1:
            self.answers[tag] = Answer(header[3], self.data.pop(tag))

    def start(self, cdb, out=b"", in_len=0, lun=0):
        """Sends a command whose data fit into its PDU; returns its tag."""
        with self.lock:
            self.tag += 1
            flags = 0x81 | (0x40 if in_len else 0) | (0x20 if out else 0)
            self.send(struct.pack(">BBHI2sH4xIIII16s", 0x01, flags, 0, 0, bytes([0, lun]), 0, self.tag,
                                  in_len or len(out), self.command_sn, self.expected_stat_sn,
                                  bytes(cdb).ljust(16, b"\0")), out)
            self.command_sn += 1
            return self.tag

    def finish(self, tag, timeout=None):
        with self.lock:
            self.lock.wait_for(lambda: tag in self.answers or self.dead, timeout or self.timeout)
            if tag in self.answers:
                return self.answers.pop(tag)
            raise self.dead or Failure(f"no answer within {timeout or self.timeout} s")

    def command(self, cdb, out=b"", in_len=0, lun=0, timeout=None):
        return self.finish(self.start(cdb, out, in_len, lun), timeout)

    def insist(self, cdb, out=b"", in_len=0, lun=0):
        """As initiators do with what was not executed because the LUN moves."""
        def told():
            answer = self.command(cdb, out, in_len, lun)
            return None if answer.is_later() else answer
        return wait_for(told, f"an answer to {cdb}")

    def attentions(self, lun=0):
        """Takes all unit attentions that are pending."""
        seen = []
        while (answer := self.insist(TEST_UNIT_READY, lun=lun)).sense >> 16 == 6:
            seen.append(answer.sense)
        expect(answer.status in (GOOD, CONFLICT), f"TEST UNIT READY: {answer}")
        return seen

    def close(self):
        self.socket.close()


class Path:
    """A session that follows the access states which its gateway tells of one LUN."""

    def __init__(self, gw, lun, name="iqn.1994-05.test:states", namespace=None):
        self.gw, self.lun, self.name = gw, lun, name
        self.session = Session(gw.address, gw.portal_port, name, namespace=namespace)
        self.session.attentions(lun)
        self.attentions = []  # since they were looked at last
        self.changes = 0      # likewise: answers that differ from the one before
        self.states = self.ask()

    def command(self, cdb, again=False, **arguments):
        """again: what is told BUSY is asked again."""
        ask = self.session.insist if again else self.session.command
        while (answer := ask(cdb, lun=self.lun, **arguments)).sense >> 16 == 6:
            self.attentions.append(answer.sense)
        return answer

    def ask(self):
        """Of the groups by their tags: 1 is gw-1's."""
        data = self.command(REPORT_PORT_GROUPS, in_len=64).data
        states = [data[at] & 15 for at in range(4, 4 + int.from_bytes(data[:4], "big"), 12)]
        if states != getattr(self, "states", states):
            self.changes += 1
        self.states = states
        return states

    def wait(self, *states):
        wait_for(lambda: self.ask() == list(states), f"{self.gw.name} to tell {states}")

    def told(self):
        """Unit attentions and changes since the last call."""
        self.command(TEST_UNIT_READY)
        seen, self.attentions, self.changes = (self.attentions, self.changes), [], 0
        return seen


def capacity(path):
    """In bytes, by READ CAPACITY (16)."""
    data = path.command([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32], in_len=32).data
    return (int.from_bytes(data[:8], "big") + 1) * int.from_bytes(data[8:12], "big")


class SteadyWriter:
    """Writes to LUNs in turn through one gateway, and notes the longest write and whatever is answered but GOOD."""

    def __init__(self, gw, luns, name="iqn.1994-05.test:writer"):
        self.session = Session(gw.address, gw.portal_port, name)
        self.luns, self.count, self.longest_s, self.errors, self.ended = list(luns), 0, 0.0, [], False
        for lun in self.luns:
            self.session.attentions(lun)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def write(self, lun):
        """The access states may change meanwhile; nothing else may be told."""
        write_one = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0]
        started = time.monotonic()
        while (answer := self.session.command(write_one, out=b"w" * 512, lun=lun)).sense == ACCESS_STATE_CHANGED:
            started = time.monotonic()
        self.longest_s = max(self.longest_s, time.monotonic() - started)
        if answer.status != GOOD:
            self.errors.append(f"LUN {lun}: {answer}")

    def run(self):
        try:
            while not self.ended:
                self.write(self.luns[self.count % len(self.luns)])
                self.count += 1
        except (OSError, Failure) as error:
            self.errors.append(str(error))

    def wait_for_more(self, count):
        wanted = self.count + count
        wait_for(lambda: self.count >= wanted or self.errors, f"{count} more writes")

    def stop(self):
        self.ended = True
        self.thread.join()
        self.session.close()
        return self.longest_s, self.errors
