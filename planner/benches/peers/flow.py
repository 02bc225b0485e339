"""The integer flow model that two solvers are given: how many of each flavor come to and leave each host.

Anti-affinity is relaxed, which makes it easier than the real question. Unplaced instances cost more than all
displacement together, so one objective holds both goals.
"""

import collections


def plan(cloud, seconds, solve):
    """Solves every pool with its share of the time; `solve(model, seconds)` gives arrivals and departures."""
    answer = {}
    for pool in cloud.pools.values():
        arrivals, departures = solve(Model(cloud, pool), seconds / len(cloud.pools))
        answer |= moves(cloud, pool, arrivals, departures)
    return answer


class Model:
    """One pool's columns and rows, as plain data."""

    def __init__(self, cloud, pool):
        self.hosts = [host for host in pool.hosts if host not in cloud.drained]
        content = collections.Counter((cloud.host[i], cloud.flavor[i]) for i in pool.instances)
        self.wanted = collections.Counter(cloud.flavor[i] for i in cloud.evacuees(pool))
        self.flavors = sorted({flavor for _, flavor in content})
        self.leaving = {(h, f): content[h, f] for h in self.hosts for f in self.flavors if content[h, f]}
        self.need = {flavor: cloud.need[flavor] for flavor in self.flavors}
        self.free = {host: cloud.free[host] for host in self.hosts}
        memory = sum(self.need[f][1] * n for (_, f), n in self.leaving.items())
        self.unplaced_cost = memory // 1024 + 1

    def displaced_cost(self, flavor):
        """GiB of memory, so that the numbers stay small."""
        return self.need[flavor][1] // 1024


def moves(cloud, pool, arrivals, departures):
    """Names the instances of a flow: which of them moves is free."""
    movers = collections.defaultdict(list)
    for instance in cloud.evacuees(pool):
        movers[cloud.flavor[instance]].append(instance)
    at = collections.defaultdict(list)
    for instance in pool.instances:
        at[cloud.host[instance], cloud.flavor[instance]].append(instance)
    for (host, flavor), count in departures.items():
        movers[flavor].extend(at[host, flavor][:count])
    answer = {}
    for (host, flavor), count in arrivals.items():
        for _ in range(min(count, len(movers[flavor]))):
            answer[movers[flavor].pop(0)] = host
    return answer
