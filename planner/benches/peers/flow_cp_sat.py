"""The flow model in OR-tools' CP-SAT, pool by pool."""

from ortools.sat.python import cp_model

import fleet
import flow


def solve(model, seconds):
    """Returns the arrivals and departures by (host, flavor)."""
    sat = cp_model.CpModel()
    total = {f: model.wanted[f] + sum(n for (_, g), n in model.leaving.items() if g == f) for f in model.flavors}
    arrive = {(h, f): sat.new_int_var(0, total[f], f"{h} {f}") for h in model.hosts for f in model.flavors}
    leave = {(h, f): sat.new_int_var(0, count, f"-{h} {f}") for (h, f), count in model.leaving.items()}
    unplaced = {f: sat.new_int_var(0, model.wanted[f], f) for f in model.flavors}
    for host in model.hosts:
        for at in range(len(fleet.CLASSES)):
            coming = sum(model.need[f][at] * arrive[host, f] for f in model.flavors)
            going = sum(model.need[f][at] * leave[h, f] for h, f in leave if h == host)
            sat.add(coming - going <= model.free[host][at])
    for f in model.flavors:
        coming = sum(arrive[host, f] for host in model.hosts)
        going = sum(variable for (_, flavor), variable in leave.items() if flavor == f)
        sat.add(coming - going + unplaced[f] >= model.wanted[f])
    sat.minimize(
        sum(model.unplaced_cost * variable for variable in unplaced.values())
        + sum(model.displaced_cost(f) * variable for (_, f), variable in leave.items())
    )
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    if solver.solve(sat) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return {}, {}
    count = lambda variables: {key: solver.value(v) for key, v in variables.items() if solver.value(v)}
    return count(arrive), count(leave)


if __name__ == "__main__":
    fleet.main(lambda cloud, seconds: flow.plan(cloud, seconds, solve))
