#!/usr/bin/env python3
"""A BIOS boots from a LUN: QEMU's firmware runs iPXE, `sanboot` logs in with CHAP; the boot sector reads
one block through int 13h, writes it to another place, prints it, and ends the machine."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import IQN, Gateway, Network, case, expect, expect_eq, make_target, prefix_of, run

PORTAL = "10.99.1.1"
USER, SECRET = "myusername1", "mypassword12"
TEXT = b"booted from LBA 1 of the LUN\r\n\0"
EXIT_CODE = 33  # what 10h at QEMU's exit device becomes

# 16-bit code at 0:7c00, the packet of int 13h (one block, buffer 0:7e00) right behind it.
BOOT = bytes.fromhex(
    "31c0 8ed8 8ec0 8ed0 bc007c"  # ds = es = ss = 0, the stack below the code
    "be357c b442 cd13 721a"  # extended read of LBA 1; on error to the end
    "c6063d7c02 b80043 cd13 720e"  # the same packet with LBA 2: extended write; on error to the end
    "be007e ac 84c0 7406 baf803 ee ebf5"  # the text to port 3f8 until a zero byte
    "b010 e6f4 f4 ebfd"  # 10h to the exit device, halt
    "1000 0100 007e0000 0100000000000000".replace(" ", ""))

IPXE = f"""#!ipxe
set initiator-iqn iqn.2026-01.org.example:ipxe
set username {USER}
set password {SECRET}
sanboot iscsi:{PORTAL}::3260:0:{IQN}
"""


@case
def a_bios_boots_from_a_lun_reads_it_and_writes_it():
    with Network({}, hub_address=PORTAL) as network, harness.folder() as folder:
        gw = Gateway(folder / "gw", address=PORTAL, prefix=prefix_of(network.hub), portal_port=3260)
        try:
            gw.start()
            make_target(gw, size="16M", user=USER, secret=SECRET)
            image = folder / "boot.img"
            image.write_bytes(BOOT.ljust(510, b"\0") + b"\x55\xaa" + TEXT.ljust(512, b"\0"))
            url = gw.url(user=USER, secret=SECRET)
            run(*gw.prefix, "qemu-io", "-f", "raw", "-c", f"write -s {image} 0 1024", url)
            tftp = folder / "tftp"
            tftp.mkdir()
            (tftp / "boot.ipxe").write_text(IPXE)
            serial = folder / "serial"
            done = subprocess.run(
                [*gw.prefix, "timeout", "-k", "5", "150", "qemu-system-x86_64", "-accel", "tcg", "-machine",
                 "q35,graphics=off", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                 "-serial", f"file:{serial}", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-netdev",
                 f"user,id=n,tftp={tftp},bootfile=boot.ipxe", "-device", "virtio-net-pci,netdev=n,bootindex=0"],
                stdin=subprocess.DEVNULL)
            shown = serial.read_text(errors="replace")
            expect_eq(done.returncode, EXIT_CODE, f"QEMU's exit; the console:\n{shown[-2000:]}")
            expect("booted from LBA 1" in shown, shown[-2000:])
            out = run(*gw.prefix, "qemu-io", "-f", "raw", "-c", "read -v 1024 512", url)
            expect("booted from LBA" in out or "booted" in out, f"LBA 2 is not what the BIOS wrote:\n{out[:600]}")
            gw.stop()
        finally:
            gw.kill()


harness.main()
