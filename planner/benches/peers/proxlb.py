"""proxlb-solver (CP-SAT, one binary per instance and host): drained hosts in maintenance, stickiness over balance."""

from proxlb_solver import models, solver

import fleet

MIB = 1 << 20


def cluster(cloud, pool):
    """The pool in the solver's own words; disk is one storage per host."""
    groups = {}
    for instance in pool.instances:
        if instance in cloud.group:
            groups.setdefault(cloud.group[instance], []).append(instance)
    return models.Cluster(
        name="pool",
        description="",
        balancing=models.Balancing(
            method="memory", mode="assigned", cpu_overcommit=4.0, w_balance=0, w_stickiness=1
        ),
        nodes=[
            models.Node(
                name=host,
                cpu_total=cloud.capacity[host][0] // 4,
                memory_total=cloud.capacity[host][1] * MIB,
                storage_free={},
                maintenance=host in cloud.drained,
            )
            for host in pool.hosts
        ],
        vms=[
            models.VM(
                name=instance,
                node=cloud.host[instance],
                cpu=cloud.need[cloud.flavor[instance]][0],
                memory=cloud.need[cloud.flavor[instance]][1] * MIB,
                cpu_usage=float(cloud.need[cloud.flavor[instance]][0]),
            )
            for instance in pool.instances
        ],
        constraints=models.Constraints(
            anti_affinity=[{"name": name, "vms": members, "hard": True} for name, members in groups.items()]
        ),
        expect=models.Expect(),
    )


def plan(cloud, seconds):
    """Solves every pool with its share of the time."""
    answer = {}
    for pool in cloud.pools.values():
        solution = solver.solve(cluster(cloud, pool), time_limit_s=seconds / len(cloud.pools))
        answer |= {move.vm: move.target for move in solution.migrations}
    return answer


if __name__ == "__main__":
    fleet.main(plan)
