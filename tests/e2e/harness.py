"""What whole-program tests share: a gateway in a folder of its own, waiting with deadlines, TAP.

A test is a function decorated with @case; its docstring-free name, read as a sentence, is the case.
Programs come from $RBDGATE_BIN. Everything started is ended, and what failed shows its logs."""
import contextlib
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import keeper

BIN = pathlib.Path(os.environ.get("RBDGATE_BIN", "build/src/programs"))
IQN = "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw"
CLIENT = "iqn.1994-05.com.redhat:rh7-client"
DEADLINE_S = 30
NINE_YEARS_S = 9 * 365 * 86400  # a fence lasts for ten
cases = []


class Failure(Exception):
    pass


def case(function):
    cases.append(function)
    return function


def main():
    """Runs the cases of the test file that calls it; arguments pick cases by substring."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # and so ends all that it has started
    picked = [c for c in cases if not sys.argv[1:] or any(a in c.__name__ for a in sys.argv[1:])]
    print(f"1..{len(picked)}", flush=True)
    failed = 0
    for number, test in enumerate(picked, 1):
        name = test.__name__
        started = time.monotonic()
        try:
            test()
            print(f"ok {number} - {name} # {time.monotonic() - started:.1f} s", flush=True)
        except Exception:  # every failure is one line of TAP, and the next case still runs
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    sys.exit(1 if failed else 0)


def wait_for(condition, what, deadline_s=DEADLINE_S, interval_s=0.02):
    """Polls until condition() is true; returns its value. Never a plain sleep in a test."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {deadline_s} s: {what}")
        time.sleep(interval_s)


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_eq(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


def free_port(address="127.0.0.1"):
    """Below those that the kernel gives to connections: none of anybody takes it before it is used, or while the program
    that has it is started anew."""
    while True:
        port = random.randrange(10000, 15000)
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s, contextlib.suppress(OSError):
            s.bind((address, port))
            return port


def run(*command, check=True, input=None, timeout=60, env=None):
    """Runs a program to its end; returns its output (stdout and stderr together)."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          input=input, timeout=timeout, text=True, env=env)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(str(c) for c in command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def status_of(*command, timeout=60):
    return subprocess.run([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          timeout=timeout).returncode


class Program:
    """A program that runs until it is told to end; its log is a file."""

    def __init__(self, name, arguments, log, prefix=(), env=None):
        self.name, self.log = name, log
        self.command = [*map(str, prefix), str(BIN / name), *map(str, arguments)]
        self.env = env
        self.process = None

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=self.env)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def is_frozen(self):
        """All of its threads are: until then one may still run."""
        try:
            states = [(task / "stat").read_text().rpartition(") ")[2][0]
                      for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()]
        except FileNotFoundError:  # a thread has ended meanwhile, or the program
            return not self.running()
        return all(state == "T" for state in states)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_for(self.is_frozen, f"all threads of {self.name} stopped")

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.running():
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, timeout=30):
        """SIGTERM, and it must end well: a sanitizer's complaint is an exit code."""
        if self.process is None:
            return
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"{self.name} did not end within {timeout} s of SIGTERM")
        self.process = None
        if code != 0:
            raise Failure(f"{self.name} ended with {code}")


def prefix_of(namespace):
    return ["ip", "netns", "exec", namespace]


class Network:
    """Hosts as network namespaces on one bridge; `hub` holds the bridge, and is a host itself."""

    def __init__(self, hosts, hub_address="10.77.0.254"):
        self.tag = f"rg{os.getpid()}"
        keeper.end_namespaces_when_killed(self.tag)
        self.hub = f"{self.tag}-hub"
        self.hub_address = hub_address
        self.namespaces = {}
        self.hosts = hosts

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.hub)
            self.inside(self.hub, "ip", "link", "set", "lo", "up")
            self.inside(self.hub, "ip", "link", "add", "br0", "type", "bridge")
            self.inside(self.hub, "ip", "addr", "add", f"{self.hub_address}/24", "dev", "br0")
            self.inside(self.hub, "ip", "link", "set", "br0", "up")
            for number, (host, address) in enumerate(self.hosts.items()):
                self.add(host, address, number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, host, address, number):
        namespace = self.namespaces[host] = f"{self.tag}-{host}"
        run("ip", "netns", "add", namespace)
        self.inside(namespace, "ip", "link", "set", "lo", "up")
        self.inside(self.hub, "ip", "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0",
                    "netns", namespace)
        self.inside(self.hub, "ip", "link", "set", f"v{number}", "master", "br0", "up")
        self.inside(namespace, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.inside(namespace, "ip", "link", "set", "eth0", "up")

    @staticmethod
    def inside(namespace, *command, **arguments):
        return run(*prefix_of(namespace), *command, **arguments)

    def __exit__(self, *_):
        for namespace in [*self.namespaces.values(), self.hub]:
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL)


class Cluster:
    """A Ceph cluster of the rig, in a namespace if one is given. Short path: the rig has a limit."""

    RIG = pathlib.Path(__file__).resolve().parent.parent / "rigs" / "ceph" / "ceph-rig"
    place = "/tmp"
    TRIES = 3

    def __init__(self, *options, prefix=(), address="127.0.0.1"):
        self.prefix = list(prefix)
        self.folder = tempfile.mkdtemp(prefix="rgc-", dir=self.place)
        keeper.when_killed(self.RIG, "stop", self.folder, "--purge")
        self.options = [*options, "--addr", address]

    def rig(self, verb, *arguments, timeout=180):
        return run(*self.prefix, self.RIG, verb, self.folder, *arguments, timeout=timeout)

    def __enter__(self):
        """Another cluster may have the ports: it tries a few. They are neither those of free_port(), nor of `with-cluster`."""
        for left in reversed(range(self.TRIES)):
            try:
                self.rig("start", *self.options, "--port", random.randrange(15000, 20000, 50), timeout=400)
                return self
            except BaseException as problem:
                self.__exit__()
                if not left or not isinstance(problem, Failure):
                    raise
                print(f"# {problem}".replace("\n", "\n# "), flush=True)

    def __exit__(self, *_):
        subprocess.run([str(c) for c in (*self.prefix, self.RIG, "stop", self.folder, "--purge")],
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, user="admin"):
        """Environment for programs that are to find this cluster as that user."""
        env = dict(os.environ)
        for line in self.rig("env", user).splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            env[name] = value.strip("'\"")
        return env

    def user(self, name, *pools):
        self.rig("user", name, *pools)
        return self.environment(name)

    def run(self, *command, **arguments):
        return run(*self.prefix, *command, env=self.environment(), **arguments)

    def fenced_until(self):
        """The entries of the blocklist: when each ends, in seconds of the epoch, by address."""
        entries = (line.split() for line in self.run("ceph", "osd", "blocklist", "ls").splitlines() if "/" in line)
        return {address: datetime.datetime.fromisoformat(until).timestamp() for address, until in entries}

    def expect_fenced(self, clients):
        """All of them, and for good."""
        fenced, later = self.fenced_until(), time.time() + NINE_YEARS_S
        expect(all(fenced.get(client, 0) > later for client in clients), f"clients {clients}, fenced {fenced}")


class Gateway:
    """One gateway: rbd-target-io and rbd-target-api over one store, and gwcli on them."""

    def __init__(self, folder, name="gw-1", store=None, address="127.0.0.1", api_port=None, portal_port=None,
                 settings=None, rbdgate=None, prefix=(), env=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.address = name, address
        self.portal_port = portal_port or free_port(address if not prefix else "127.0.0.1")
        self.api_port = api_port or free_port(address if not prefix else "127.0.0.1")
        self.prefix, self.env = list(prefix), env
        self.config = self.folder / "iscsi-gateway.cfg"
        options = {"minimum_gateways": 1, "api_host": "::" if prefix else "127.0.0.1", "api_port": self.api_port, "api_secure": "false",
                   "api_user": "admin", "api_password": "secretpassword", "log_to_stderr": "true",
                   "log_to_file": "false", "ceph_config_dir": self.folder}
        options.update(settings or {})
        self.password = options["api_password"]
        ours = {"store": store or f"dir:{self.folder / 'store'}", "gateway_name": name,
                "portal_port": self.portal_port, "interconnect_port": 0, "run_dir": self.folder / "run"}
        ours.update(rbdgate or {})
        self.config.write_text("[config]\n" + "".join(f"{k} = {v}\n" for k, v in options.items()) +
                               "[rbdgate]\n" + "".join(f"{k} = {v}\n" for k, v in ours.items()))
        self.run_dir = pathlib.Path(ours["run_dir"])
        self.io = Program("rbd-target-io", ["-c", self.config], self.folder / "io.log", prefix, env)
        self.api = Program("rbd-target-api", ["-c", self.config], self.folder / "api.log", prefix, env)

    def start(self):
        self.io.start()
        self.api.start()
        self.wait_ready()

    def wait_ready(self):
        def ready():
            for program in (self.io, self.api):
                expect(program.running(), f"{program.name} of {self.name} ended:\n{tail(program.log)}")
            try:
                return self.status()["serving"] and self.request("GET", "/_ping")[0] == 200
            except OSError:
                return False
        wait_for(ready, f"API and target of {self.name}", interval_s=0.05)

    def stop(self):
        problems = []
        for program in (self.api, self.io):
            try:
                program.stop()
            except Failure as failure:
                problems.append(f"{failure}\n{tail(program.log)}")
        if problems:
            raise Failure("\n".join(problems))

    def kill(self):
        self.api.kill()
        self.io.kill()

    def request(self, method, path, timeout=60, **form):
        """One API call: (status, JSON). By curl, inside the gateway's namespace if it has one."""
        command = [*self.prefix, "curl", "-sS", "-m", timeout, "-X", method, "-u", f"admin:{self.password}",
                   "-w", "\n%{http_code}"]
        for name, value in form.items():
            command += ["--data-urlencode", f"{name}={value}"]
        command.append(f"http://127.0.0.1:{self.api_port}/api{path}")
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(done.stderr.strip())
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), json.loads(body)

    def call(self, method, path, **form):
        status, body = self.request(method, path, **form)
        if status != 200:
            raise Failure(f"{method} {path} {form}: {status} {body}")
        return body

    def gwcli(self, *arguments, check=True, input=None):
        return run(*self.prefix, BIN / "gwcli", "-c", self.config, *arguments, check=check, input=input, env=self.env)

    def status(self):
        """What the control socket of rbd-target-io says."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.run_dir / f"{self.name}.sock"))
            s.sendall(b'{"ask": "status"}\n')
            line = s.makefile().readline()
        if not line.endswith("\n"):  # it ends, or starts anew
            raise ConnectionError(f"{self.name} closed its control socket without an answer")
        return json.loads(line)

    def wait_lun(self, disk, state="ready"):
        def there():
            try:
                return any(l["name"] == disk and l["state"] == state for l in self.status()["luns"])
            except OSError:
                return False  # it starts
        wait_for(there, f"{disk} {state} on {self.name}")

    def url(self, lun=0, user=None, secret=None):
        login = f"{user}%{secret}@" if user else ""
        return f"iscsi://{login}{self.portal}/{IQN}/{lun}"

    @property
    def portal(self):
        """As in a TargetAddress: an IPv6 address stands in brackets."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.portal_port}"


def tail(path, lines=30):
    try:
        return "".join(pathlib.Path(path).read_text(errors="replace").splitlines(True)[-lines:])
    except OSError as error:
        return str(error)


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="rbdgate-e2e-")
    keeper.when_killed("rm", "-rf", path)
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def gateway(**arguments):
    """A running gateway; stopped cleanly at the end, its logs shown if anything failed."""
    with folder() as path:
        gw = Gateway(path, **arguments)
        try:
            gw.start()
            yield gw
            gw.stop()
        except BaseException:
            gw.kill()
            for program in (gw.io, gw.api):
                for line in tail(program.log).splitlines():
                    print(f"# {program.name}: {line}")
            raise


def make_target(gw, disks=("disk_1",), size="64M", client=None, user="myusername1", secret="mypassword12"):
    """Target, gateway, disks; then ACLs off (and CHAP if user), or one client with all disks."""
    gw.call("PUT", f"/target/{IQN}")
    gw.call("PUT", f"/gateway/{IQN}/{gw.name}", ip_address=gw.address, skipchecks="true")
    for disk in disks:
        gw.call("PUT", f"/disk/rbd/{disk}", mode="create", size=size)
        gw.call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")
    if client:
        gw.call("PUT", f"/client/{IQN}/{client}")
        if user:
            gw.call("PUT", f"/clientauth/{IQN}/{client}", username=user, password=secret,
                    mutual_username="", mutual_password="")
        for disk in disks:
            gw.call("PUT", f"/clientlun/{IQN}/{client}", disk=f"rbd/{disk}")
    else:
        gw.call("PUT", f"/targetauth/{IQN}", action="disable_acl")
        if user:
            gw.call("PUT", f"/targetauth/{IQN}", username=user, password=secret, mutual_username="",
                    mutual_password="")
