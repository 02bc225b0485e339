"""Ganeti's hbal in evacuation mode, each pool a node group of its own, memory, disk and vCPU ratio exported."""

import collections
import re
import subprocess
import tempfile

import fleet

POLICY = "128,1,1024,1,1,1|128,1,1024,1,1,1;1048576,256,16777216,16,8,12|ext|4.0|32.0"


def text(cloud, pool):
    """The pool in the text format of the htools."""
    lines = ["pool|pool-uuid|preferred||", ""]
    cores = collections.Counter()
    for instance in pool.instances:
        cores[cloud.host[instance]] += cloud.need[cloud.flavor[instance]][0]
    for host in pool.hosts:
        (vcpus, memory, disk), (_, memory_free, disk_free) = cloud.capacity[host], cloud.free[host]
        offline = "Y" if host in cloud.drained else "N"
        lines.append(
            f"{host}|{memory}|0|{memory_free}|{disk * 1024}|{disk_free * 1024}|{vcpus // 4}|{offline}|pool-uuid|1"
        )
    lines.append("")
    for instance in pool.instances:
        vcpus, memory, disk = cloud.need[cloud.flavor[instance]]
        group = cloud.group.get(instance)
        tags = f"group:{group}" if group else ""
        lines.append(
            f"{instance}|{memory}|{disk * 1024}|{vcpus}|running|Y|{cloud.host[instance]}||ext|{tags}|1"
        )
    lines += ["", "htools:iextags:group", "", f"|{POLICY}", f"pool|{POLICY}", ""]
    return "\n".join(lines)


def plan(cloud, seconds):
    """Runs hbal on every pool and reads the final instance map."""
    answer = {}
    for pool in cloud.pools.values():
        with tempfile.NamedTemporaryFile("w", suffix=".data") as file:
            file.write(text(cloud, pool))
            file.flush()
            run = subprocess.run(
                ["hbal", "-t", file.name, "--evac-mode", "-C"],
                capture_output=True, text=True, timeout=seconds, check=False,
            )
        for target, instance in re.findall(r"gnt-instance \w+ .*-n (\S+) (\S+)", run.stdout):
            answer[instance] = target
    return answer


if __name__ == "__main__":
    fleet.main(plan)
