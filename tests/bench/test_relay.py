#!/usr/bin/env python3
"""The bare relay: all bytes come through, both ways, whoever reads or not; and iSCSI does not notice it."""
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading

BENCH = pathlib.Path(os.environ.get("RBDGATE_BENCH", "build/bench"))
sys.path.append(str(pathlib.Path(__file__).parents[1] / "e2e"))

import harness  # noqa: E402: found there
from harness import case, expect, expect_eq, free_port, status_of  # noqa: E402

MANY_BYTES = 64 << 20  # more than all buffers on the way take


@contextlib.contextmanager
def running(*command):
    """A program of bench/ that has said that it is ready, and what it said."""
    with subprocess.Popen([BENCH / command[0], *command[1:]], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()


class Relay:
    """One in front of a server that the case plays itself."""

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(harness.DEADLINE_S)
        port = self.listener.getsockname()[1]
        self.process, self.address = self.stack.enter_context(running("bench-relay", "--to", f"127.0.0.1:{port}"))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def connect(self):
        host, port = self.address.split(":")
        client = self.stack.enter_context(socket.create_connection((host, int(port)), harness.DEADLINE_S))
        return client

    def pair(self):
        """Both ends of a connection through it."""
        client = self.connect()
        server, _ = self.listener.accept()
        server.settimeout(harness.DEADLINE_S)
        return client, self.stack.enter_context(server)


def read(end, count):
    parts = []
    while count:
        parts.append(end.recv(count))
        expect(parts[-1], f"ended with {count} bytes to come")
        count -= len(parts[-1])
    return b"".join(parts)


@case
def both_ways_all_bytes_come_even_if_one_side_does_not_read():
    many, few = random.Random(1).randbytes(MANY_BYTES), random.Random(2).randbytes(1 << 20)
    with Relay() as relay:
        for client, server in (relay.pair(), relay.pair()[::-1]):
            sender = threading.Thread(target=client.sendall, args=[many])
            sender.start()
            for _ in range(4):
                server.sendall(few)
                expect(read(client, len(few)) == few, "other bytes came")
            expect(sender.is_alive(), "the relay took what nobody read")
            expect(read(server, len(many)) == many, "other bytes came")
            sender.join()


@case
def connections_keep_apart():
    with Relay() as relay:
        pairs = [relay.pair() for _ in range(5)]
        for number, (client, server) in enumerate(pairs):
            client.sendall(b"there %d" % number)
            server.sendall(b"back %d" % number)
        for number, (client, server) in enumerate(pairs):
            expect_eq((server.recv(99), client.recv(99)), (b"there %d" % number, b"back %d" % number))


@case
def the_end_of_one_side_is_that_of_the_other_after_what_came_before():
    data = random.Random(3).randbytes(3 << 20)
    with Relay() as relay:
        stays = relay.pair()
        for ends, other in (relay.pair(), relay.pair()[::-1]):
            sender = threading.Thread(target=lambda end=ends: (end.sendall(data), end.close()))
            sender.start()
            expect(read(other, len(data)) == data, "other bytes came")
            expect_eq(other.recv(1), b"")
            sender.join()
        stays[0].sendall(b"still here")
        expect_eq(stays[1].recv(99), b"still here")


@case
def without_a_server_a_connection_ends_and_the_relay_does_not():
    with Relay() as relay:
        relay.listener.close()
        for _ in range(2):
            expect_eq(relay.connect().recv(1), b"")
        expect_eq(relay.process.poll(), None)


@case
def it_ends_when_told():
    with Relay() as relay:
        relay.pair()
        relay.process.terminate()
        expect_eq(relay.process.wait(harness.DEADLINE_S), -signal.SIGTERM)


@case
def what_it_cannot_do_is_said_at_once():
    for arguments, wanted in ((["--help"], 0), ([], 2), (["--to", "127.0.0.1"], 2), (["--to", "host:1"], 2),
                              (["--to", "127.0.0.1:65536"], 2), (["--to", "127.0.0.1:0"], 2),
                              (["--to", "127.0.0.1:1", "more"], 2),
                              (["--to", "127.0.0.1:1", "--address", "192.0.2.1:1"], 1)):
        expect_eq(status_of(BENCH / "bench-relay", *arguments), wanted, arguments)


@case
def iscsi_goes_through_it():
    address = f"127.0.0.1:{free_port()}"
    with running("bench-target", "--address", address, "--size", "16") as (_, url), \
            running("bench-relay", "--to", address) as (_, relay):
        done = subprocess.run([BENCH / "iscsi-pairs", "--write", "--size", "1m", "--seconds", "0.1", url,
                               url.replace(address, relay)], stdout=subprocess.PIPE, text=True, check=True)
        expect(json.loads(done.stdout)["pairs"] > 0, done.stdout)


harness.main()
