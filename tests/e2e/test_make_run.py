#!/usr/bin/env python3
"""`make run` as a newcomer sees it: four lines, a disk that works, data that stay, an end without remains."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess

from harness import BIN, Failure, case, expect, expect_eq, folder, free_port, main, run, wait_for

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "run"
BUILD = BIN.parent.parent
LINES = [r"iscsi://(\w+)%(\w+)@127\.0\.0\.1:(\d+)/(iqn\.[\w.:-]+)/(\d+)",
         r"http://(\w+):(\w+)@127\.0\.0\.1:(\d+)/api",
         r"\S+/gwcli -c \S+/iscsi-gateway\.cfg",
         r"stop with Ctrl-C; .*"]


class Run:
    """tools/run in a process group of its own, as a terminal starts it."""

    def __init__(self, path, portal_port=None, api_port=None):
        self.ports = {"PORTAL_PORT": str(portal_port or free_port()), "API_PORT": str(api_port or free_port())}
        self.out = path / "stdout"
        with open(self.out, "w") as out:
            self.process = subprocess.Popen([TOOL, BUILD], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            start_new_session=True, cwd="/",
                                            env={**os.environ, **self.ports, "RUN_DIR": str(path / "run")})

    def text(self):
        return self.out.read_text()

    def lines(self):
        """The four lines, when they are there."""
        def done():
            expect(self.process.poll() is None, f"ended:\n{self.text()}")
            return self.text().count("\n") >= len(LINES)
        wait_for(done, "four lines")
        lines = self.text().splitlines()
        expect_eq(len(lines), len(LINES), f"lines of {lines}")
        for line, pattern in zip(lines, LINES):
            expect(re.fullmatch(pattern, line), f"{line!r} is not like {pattern}")
        return lines

    def members(self):
        """Processes of the group that still run."""
        out = subprocess.run(["ps", "-o", "pid=,stat=,args=", "-g", str(self.process.pid)],
                             capture_output=True, text=True).stdout
        return [line for line in out.splitlines() if line.split()[1][0] != "Z"]

    def end(self, number, whole_group):
        (os.killpg if whole_group else os.kill)(self.process.pid, number)
        code = self.process.wait(30)
        wait_for(lambda: not self.members(), f"the end of {self.members()}")
        return code

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(path, **arguments):
    r = Run(path, **arguments)
    try:
        yield r
    except BaseException:
        print("".join(f"# {line}\n" for line in r.text().splitlines()), end="")
        raise
    finally:
        r.kill()


def qemu_io(url, command):
    return run("qemu-io", "-f", "raw", "-c", command, url)


@case
def the_four_lines_are_as_promised_and_each_works_as_printed():
    with folder() as path, running(path) as r:
        iscsi, http, gwcli, _ = r.lines()
        user, secret, port, iqn, lun = re.fullmatch(LINES[0], iscsi).groups()
        expect_eq((port, lun), (r.ports["PORTAL_PORT"], "0"), "port and LUN")
        inquiry = run("iscsi-inq", iscsi)
        expect("Vendor:LIO-ORG" in inquiry, inquiry)
        expect(f":{r.ports['API_PORT']}/" in http, http)
        expect('"targets"' in run("curl", "-sS", "-f", f"{http}/config"), "the API's answer")
        expect("401" in run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", re.sub("//.*@", "//", http) + "/config"),
               "the API without a password")
        tree = run("sh", "-c", f"cd / && {gwcli} ls")
        expect(iqn in tree and "rbd/disk_1 (Online, 1G)" in tree and "(UP)" in tree, tree)
        wrong = run("iscsi-inq", iscsi.replace(f"%{secret}@", "%wrongwrongwrong@"), check=False)
        expect("LIO-ORG" not in wrong, f"with a wrong password: {wrong}")


@case
def a_write_survives_ctrl_c_and_the_same_url_reads_it_again():
    with folder() as path:
        with running(path) as r:
            first = r.lines()
            qemu_io(first[0], "write -P 0x5a 1M 128k")
            expect_eq(r.end(signal.SIGINT, whole_group=True), 0, "exit status after Ctrl-C")
        with running(path, portal_port=r.ports["PORTAL_PORT"], api_port=r.ports["API_PORT"]) as r:
            expect_eq(r.lines(), first, "what is printed at a restart")
            out = qemu_io(first[0], "read -P 0x5a 1M 128k")
            expect("verification failed" not in out, out)


@case
def another_port_of_the_next_run_is_taken():
    with folder() as path:
        for _ in range(2):
            with running(path) as r:
                run("iscsi-inq", r.lines()[0])
                r.end(signal.SIGINT, whole_group=True)


@case
def sigterm_to_the_tool_alone_ends_every_process():
    with folder() as path, running(path) as r:
        r.lines()
        expect(len(r.members()) >= 3, f"{r.members()}")
        r.end(signal.SIGTERM, whole_group=False)


@case
def a_signal_while_it_still_starts_ends_every_process():
    with folder() as path, running(path) as r:
        wait_for(lambda: len(r.members()) >= 3, "programs", interval_s=0.005)
        r.end(signal.SIGINT, whole_group=True)


@case
def a_program_that_dies_is_said_and_the_other_is_ended():
    with folder() as path, running(path) as r:
        r.lines()
        target = next(line for line in r.members() if "rbd-target-io " in line)
        os.kill(int(target.split()[0]), signal.SIGKILL)
        expect(r.process.wait(30) != 0, "exit status")
        wait_for(lambda: not r.members(), "the end of the others")
        expect("rbd-target-io ended" in r.text(), r.text())


@case
def a_port_in_use_is_named_with_the_variable_that_chooses_another():
    with folder() as path, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for argument, variable in (("portal_port", "PORTAL_PORT"), ("api_port", "API_PORT")):
            with running(path, **{argument: port}) as r:
                expect(r.process.wait(30) != 0, "exit status")
                expect_eq(r.text(), f"make run: port {port} on 127.0.0.1 is in use; choose another one: "
                                    f"make run {variable}=PORT\n", "what is said")


main()
