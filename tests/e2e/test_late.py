#!/usr/bin/env python3
"""Writes that come late: the target process is stopped while a write stands in its socket, and the initiator
has or has not given up on that connection by the time it goes on."""
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness
from harness import IQN, case, expect_eq, gateway, make_target, wait_for

BLOCK = 512
NOP_OUT, COMMAND, LOGIN, NOP_IN, RESPONSE, DATA_IN = 0x00, 0x01, 0x03, 0x20, 0x21, 0x25
NO_TAG = 0xffffffff


class Initiator:
    """Sends exactly what a test says, and answers pings only while it waits for the answer to a command."""

    def __init__(self, gw, isid):
        self.socket = socket.create_connection((gw.address, gw.portal_port), timeout=30)
        self.tag, self.command, self.answered = 1, 1, 0
        keys = f"InitiatorName=iqn.1994-05.test:{isid}\0SessionType=Normal\0TargetName={IQN}\0".encode()
        header = struct.pack(">BBBB I 6sH IHH II 16x", 0x40 | LOGIN, 0x87, 0, 0, len(keys),
                             bytes([0x80, 0, 0, isid, 0, 0]), 0, 0, 0, 0, self.command, 0)
        self.socket.sendall(header + keys + bytes(-len(keys) % 4))
        answer, _ = self.receive()
        expect_eq(answer[36:38], b"\0\0", "status of the login")
        while self.scsi(bytes(6)) != 0:  # the unit attention of a new nexus
            pass

    def receive(self):
        """(header, data) of the next PDU."""
        header = self.take(48)
        size = int.from_bytes(header[5:8], "big")
        data = self.take(size + -size % 4)[:size]
        if header[0] != NOP_IN or header[16:20] != b"\xff\xff\xff\xff":
            self.answered = int.from_bytes(header[24:28], "big") + 1
        return header, data

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the target has closed")
            data += piece
        return data

    def send(self, opcode, flags, tag, transfer_tag=0, cdb=b"", data=b""):
        """transfer_tag: also the expected length of a command."""
        header = struct.pack(">BBxx I 8x II II 16s", opcode, flags, len(data), tag, transfer_tag, self.command,
                             self.answered, cdb)
        self.socket.sendall(header + data)

    def scsi_send(self, cdb, out=b"", size=0):
        flags = 0x81 | (0x20 if out else 0) | (0x40 if size else 0)
        self.send(COMMAND, flags, self.tag, len(out) or size, cdb, out)
        self.tag += 1
        self.command += 1

    def scsi(self, cdb, out=b"", size=0):
        self.scsi_send(cdb, out, size)
        return self.finish(size)

    def finish(self, size=0):
        """The data of the command, or its status."""
        while (received := self.receive())[0][0] == NOP_IN:  # it was idle for long, or what it sent came late
            self.answer(received[0])
        header, data = received
        if size:
            expect_eq(header[0], DATA_IN, "opcode")
            return data
        expect_eq(header[0], RESPONSE, "opcode")
        return header[3]

    @staticmethod
    def write_cdb(lba):
        return struct.pack(">BxIxHx", 0x2a, lba, 1)

    def write_send(self, lba, byte):
        self.scsi_send(self.write_cdb(lba), out=bytes([byte]) * BLOCK)

    def write(self, lba, byte):
        expect_eq(self.scsi(self.write_cdb(lba), out=bytes([byte]) * BLOCK), 0, "status")

    def read(self, lba):
        """The byte that fills the block."""
        data = self.scsi(struct.pack(">BxIxHx", 0x28, lba, 1), size=BLOCK)
        expect_eq(data, data[:1] * BLOCK, "block")
        return data[0]

    def answer_ping(self):
        header, _ = self.receive()
        expect_eq(header[0], NOP_IN, "opcode")
        self.answer(header)

    def answer(self, ping):
        self.send(0x40 | NOP_OUT, 0x80, NO_TAG, int.from_bytes(ping[20:24], "big"))

    def close(self):
        self.socket.close()


def stopped(gw, seconds, work):
    """Does the work while the target process is stopped; it goes on after so many seconds."""
    gw.io.freeze()
    try:
        end = time.monotonic() + seconds
        work()
        wait_for(lambda: time.monotonic() > end, "the end of the stop", deadline_s=seconds + 5)
    finally:
        gw.io.thaw()


@case
def a_write_that_stood_in_the_socket_of_a_stopped_target_waits_for_a_sign_of_life():
    with gateway() as gw:
        make_target(gw, user=None)
        gw.wait_lun("rbd/disk_1")
        late, other = Initiator(gw, 1), Initiator(gw, 2)
        for lba, byte in ((0, 0x11), (1, 0x22)):
            late.write(lba, byte)
        stopped(gw, 2.5, lambda: late.write_send(0, 0x99))
        # Commands are taken in order and the other initiator's ones come later than the write.
        expect_eq(other.read(0), 0x11, "the block before the answer to the ping")
        late.answer_ping()
        expect_eq(late.finish(), 0, "status of the late write")
        expect_eq(other.read(0), 0x99, "the block after it")
        for initiator in (late, other):
            initiator.close()


@case
def a_write_that_was_given_up_while_the_target_was_stopped_never_runs():
    with gateway() as gw:
        make_target(gw, user=None)
        gw.wait_lun("rbd/disk_1")
        silent, closed, other = Initiator(gw, 1), Initiator(gw, 2), Initiator(gw, 3)

        def give_up():
            silent.write_send(0, 0x99)
            closed.write_send(1, 0x99)
            closed.close()
        stopped(gw, 2.5, give_up)
        expect_eq(other.read(0), 0, "the block that the silent initiator would write")
        other.write(0, 0x33)

        def dropped():
            # Reads go on meanwhile, and only the silent initiator's write would change what they see.
            expect_eq(other.read(0), 0x33, "the block that was written since")
            return "no answer to a NOP-In" in gw.io.log.read_text()
        wait_for(dropped, "the end of the silent connection", interval_s=0.2)
        expect_eq(other.read(0), 0x33, "the block that was written since")
        expect_eq(other.read(1), 0, "the block of the initiator that has closed")
        for initiator in (silent, other):
            initiator.close()


harness.main()
