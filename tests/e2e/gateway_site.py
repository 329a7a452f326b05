"""A site: a Ceph cluster on the hub of a network, and the gateways of one target on hosts of their own beside it."""
import contextlib

import harness
from harness import IQN, Cluster, Gateway, prefix_of, tail

PORT = 3260


class Site:
    """`network` is up and has a host of each gateway's name; `addresses` are where initiators reach them."""

    def __init__(self, stack, network, addresses, disks, size="64M", osds=1, cluster_address=None, settings=None,
                 rbdgate=None):
        self.network, self.disks, self.size, self.osds = network, disks, size, osds
        self.settings, self.rbdgate = settings or {}, rbdgate or {}
        self.hub = prefix_of(network.hub)
        self.cluster = stack.enter_context(
            Cluster("--osds", osds, prefix=self.hub, address=cluster_address or network.hub_address))
        self.folder = stack.enter_context(harness.folder())
        self.user = self.cluster.user("gw")
        self.gateways = [self.make_gateway(name, address) for name, address in addresses.items()]
        stack.callback(self.end)

    def make_gateway(self, name, address, environment=None, rbdgate=None):
        return Gateway(self.folder / name, name=name, store="rados", address=address, api_port=5000, portal_port=PORT,
                       prefix=prefix_of(self.network.namespaces[name]), env={**self.user, **(environment or {})},
                       settings={"ceph_config_dir": self.cluster.folder, "cluster_client_name": "client.gw",
                                 **self.settings},
                       rbdgate={**self.rbdgate, **(rbdgate or {})})

    def end(self):
        for gw in self.gateways:
            with contextlib.suppress(ProcessLookupError):
                gw.io.process and gw.io.thaw()
            gw.kill()

    def start_gateways(self):
        for gw in self.gateways:
            gw.io.start()
            gw.api.start()
        for gw in self.gateways:
            gw.wait_ready()

    def make_target(self, target=IQN):
        """Open to everybody, through all gateways."""
        first = self.gateways[0]
        first.call("PUT", f"/target/{target}")
        for gw in self.gateways:
            first.call("PUT", f"/gateway/{target}/{gw.name}", ip_address=gw.address, skipchecks="true")
        first.call("PUT", f"/targetauth/{target}", action="disable_acl")

    def make_disks(self):
        """Each a LUN, in order."""
        for disk in self.disks:
            self.gateways[0].call("PUT", f"/disk/rbd/{disk}", mode="create", size=self.size)
            self.gateways[0].call("PUT", f"/targetlun/{IQN}", disk=f"rbd/{disk}")

    def start(self):
        self.start_gateways()
        self.make_target()
        self.make_disks()

    @staticmethod
    def lun_at(gateway, disk):
        """What a gateway says of a disk; None if it says nothing."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return next((l for l in gateway.status()["luns"] if l["name"] == f"rbd/{disk}"), None)
        return None

    def state_at(self, gateway, disk):
        lun = self.lun_at(gateway, disk)
        return lun["state"] if lun else "?"

    def owner_of(self, disk):
        """The gateway that serves the disk now, by asking each; None if none does."""
        return next((gw for gw in self.gateways if gw.io.running() and self.state_at(gw, disk) == "ready"), None)

    @staticmethod
    def instance(gateway):
        """None while it starts anew."""
        with contextlib.suppress(OSError):
            return gateway.status()["instance"] or None

    def others(self, gateway):
        return [gw for gw in self.gateways if gw is not gateway]

    def logs(self, lines=60):
        for gw in self.gateways:
            for line in tail(gw.io.log, lines).splitlines():
                print(f"# {gw.name}: {line}", flush=True)


@contextlib.contextmanager
def running(make, *arguments, **options):
    """A site of that class from its start to its end. Gateways that run then stop well; what failed shows its logs."""
    with contextlib.ExitStack() as stack:
        s = make(stack, *arguments, **options)
        try:
            s.start()
            yield s
            for gw in s.gateways:
                if gw.io.running():
                    gw.api.kill()
                    gw.io.stop()
        except BaseException:
            s.logs()
            raise
