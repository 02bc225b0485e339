"""One instance after another, in the order of the document, each to the host with the most free memory.

That is what the RAM weigher of OpenStack Nova does when somebody calls it for every instance of a host.
"""

import fleet


def plan(cloud, _seconds):
    """Filters, weighs, claims; an instance without a host stays."""
    answer = {}
    for pool in cloud.pools.values():
        for instance in cloud.evacuees(pool):
            fitting = [host for host in pool.hosts if cloud.fits(host, instance)]
            if fitting:
                best = max(fitting, key=lambda host: (cloud.free[host][1], host))
                cloud.take(best, instance, 1)
                cloud.members[cloud.group.get(instance), best] += 1
                answer[instance] = best
    return answer


if __name__ == "__main__":
    fleet.main(plan)
