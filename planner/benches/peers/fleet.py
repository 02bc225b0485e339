"""What every peer's adapter shares: reading a fleet, its pools, writing an answer.

An adapter is run as `ADAPTER FLEET.json DRAIN OUT.json SECONDS`: it evacuates the hosts listed in DRAIN and writes
{"instance": "target host"} for every instance it moves. Each shared zone is a pool of its own.
"""

import collections
import gzip
import json
import sys

CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB")


class Pool:
    """The hosts of a zone and what runs on them."""

    def __init__(self):
        self.hosts = []
        self.instances = []


class Fleet:
    """A fleet document and the hosts to empty."""

    def __init__(self, fleet_path, drain_path):
        with (gzip.open if fleet_path.endswith(".gz") else open)(fleet_path) as file:
            document = json.load(file)
        with open(drain_path) as file:
            self.drained = set(file.read().split())
        self.need = {
            flavor["name"]: tuple(flavor["resources"].get(name, 0) for name in CLASSES)
            for flavor in document["flavors"]
        }
        self.capacity = {
            host["name"]: tuple(
                int((entry["total"] - entry["reserved"]) * entry["allocation_ratio"])
                for entry in (host["inventory"][name] for name in CLASSES)
            )
            for host in document["hosts"]
        }
        self.flavor = {instance["id"]: instance["flavor"] for instance in document["instances"]}
        self.host = {instance["id"]: instance["host"] for instance in document["instances"]}
        self.group = {
            member: group["name"] for group in document["server_groups"] for member in group["members"]
        }
        self.free = {name: list(capacity) for name, capacity in self.capacity.items()}
        self.pools = collections.defaultdict(Pool)
        zone_of = {}
        for host in document["hosts"]:
            zone = (host.get("zone"), tuple(host["aggregates"]))
            zone_of[host["name"]] = zone
            self.pools[zone].hosts.append(host["name"])
        for instance in self.host:
            self.pools[zone_of[self.host[instance]]].instances.append(instance)
            self.take(self.host[instance], instance, 1)
        self.members = collections.Counter((self.group.get(i), h) for i, h in self.host.items())

    def take(self, host, instance, sign):
        """Books (1) or releases (-1) an instance's claim on a host."""
        for at, amount in enumerate(self.need[self.flavor[instance]]):
            self.free[host][at] -= sign * amount

    def fits(self, host, instance):
        """Whether a surviving host has the room and none of the instance's group."""
        group = self.group.get(instance)
        return (
            host not in self.drained
            and (group is None or self.members[group, host] == 0)
            and all(n <= f for n, f in zip(self.need[self.flavor[instance]], self.free[host]))
        )

    def evacuees(self, pool):
        """The pool's instances on drained hosts."""
        return [instance for instance in pool.instances if self.host[instance] in self.drained]


def main(plan):
    """Reads the arguments, plans, writes the answer."""
    fleet_path, drain_path, out_path, seconds = sys.argv[1:5]
    answer = plan(Fleet(fleet_path, drain_path), float(seconds))
    with open(out_path, "w") as file:
        json.dump(answer, file)
