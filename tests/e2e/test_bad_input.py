#!/usr/bin/env python3
"""Bad input before login: nothing crashes, nothing leaks (the sanitizers say so at the end), and a
legitimate login is still answered within a second."""
import os
import random
import socket
import struct
import time

import harness
from harness import case, expect, gateway, make_target, run, wait_for

USER, SECRET = "myusername1", "mypassword12"


def connect(gw):
    return socket.create_connection(("127.0.0.1", gw.portal_port), timeout=10)


def bhs(opcode=0x43, flags=0x87, data=b"", ahs=0, length=None, itt=1):
    """A login request's header; wrong values are the point."""
    size = len(data) if length is None else length
    return struct.pack(">BBBBB3s6sHIHHII16x", opcode, flags, 0, 0, ahs, size.to_bytes(3, "big"),
                       b"\x80\x01\x02\x03\x04\x05", 0, itt, 1, 0, 1, 0) + data + b"\0" * (-len(data) % 4)


def login_takes_s(gw):
    """The time of the answer to a login, not of starting a program: measured on a raw socket."""
    text = f"InitiatorName=iqn.x:probe\0TargetName={harness.IQN}\0SessionType=Normal\0AuthMethod=CHAP\0".encode()
    with connect(gw) as s:
        started = time.monotonic()
        s.sendall(bhs(flags=0x81, data=text))
        head = s.recv(48, socket.MSG_WAITALL)
        took = time.monotonic() - started
    expect(len(head) == 48 and head[0] == 0x23 and head[36] == 0, f"answer: {head.hex()}")
    return took


def login_still_works(gw):
    """The machine may be busy for a second, but each time only the target itself would be."""
    wait_for(lambda: login_takes_s(gw) < 1, "a login that takes less than a second")
    run("iscsi-inq", gw.url(user=USER, secret=SECRET))


def send_and_forget(gw, data):
    with connect(gw) as s:
        s.settimeout(0.2)
        try:
            s.sendall(data)
            s.recv(4096)
        except OSError:
            pass


@case
def truncated_oversized_and_random_pdus_do_no_harm():
    rng = random.Random(20261121)
    whole = bhs(data=f"InitiatorName=iqn.x:a\0TargetName={harness.IQN}\0SessionType=Normal\0".encode())
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        for cut in range(0, len(whole), 7):
            send_and_forget(gw, whole[:cut])
        for length in (8193, 65536, 0xffffff):
            send_and_forget(gw, bhs(length=length) + os.urandom(1000))
        for ahs in (1, 64, 255):
            send_and_forget(gw, bhs(ahs=ahs) + b"\0" * 1020)
        for opcode in range(0x40):
            send_and_forget(gw, bhs(opcode=opcode, data=b"InitiatorName=iqn.x:a\0"))
        for flags in range(0x100):
            send_and_forget(gw, bhs(flags=flags, data=b"InitiatorName=iqn.x:a\0SessionType=Discovery\0"))
        for _ in range(200):
            send_and_forget(gw, rng.randbytes(rng.randrange(1, 600)))
        login_still_works(gw)


@case
def random_text_in_logins_does_no_harm():
    rng = random.Random(7)
    keys = ["InitiatorName", "TargetName", "SessionType", "AuthMethod", "CHAP_A", "CHAP_N", "CHAP_R", "CHAP_I",
            "CHAP_C", "HeaderDigest", "MaxBurstLength", "X-com.example", "", "A" * 64, "=", "\x01"]
    values = ["", "iqn.x:a", harness.IQN, "Normal", "Discovery", "CHAP", "None", "5", "0x" + "f" * 3000, "0b////",
              "99999999999999999999", "-1", ",", "Reject", "é"]
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        for _ in range(300):
            pairs = "\0".join(f"{rng.choice(keys)}={rng.choice(values)}" for _ in range(rng.randrange(1, 12)))
            text = pairs.encode() + b"\0" * rng.randrange(0, 3)
            send_and_forget(gw, bhs(flags=rng.choice([0x81, 0x87, 0x00, 0x40, 0x83]), data=text))
        login_still_works(gw)


@case
def a_login_in_many_pieces_ends_at_its_bound():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        with connect(gw) as s:
            s.settimeout(5)
            answered = 0
            try:
                for i in range(64):  # C bit: the text goes on for ever
                    s.sendall(bhs(flags=0x40, data=b"X-a%d=" % i + b"y" * 4000))
                    if len(s.recv(48, socket.MSG_WAITALL)) < 48:
                        break
                    answered += 1
            except OSError:
                pass
            expect(answered < 32, f"{answered} pieces were taken")
        login_still_works(gw)


@case
def a_thousand_silent_connections_keep_nobody_out():
    with gateway() as gw:
        make_target(gw, user=USER, secret=SECRET)
        silent = []
        try:
            for i in range(1000):
                s = connect(gw)
                if i % 3 == 1:
                    s.sendall(b"C")  # half a header
                elif i % 3 == 2:
                    s.sendall(bhs(length=4096))  # a header that promises data
                silent.append(s)
            login_still_works(gw)
        finally:
            for s in silent:
                s.close()


harness.main()
