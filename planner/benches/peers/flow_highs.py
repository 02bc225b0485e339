"""The flow model in HiGHS, pool by pool."""

import highspy

import fleet
import flow


def solve(model, seconds):
    """Returns the arrivals and departures by (host, flavor)."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("time_limit", seconds)
    solver.setOptionValue("mip_rel_gap", 0.0)
    arrive = {(h, f): solver.addIntegral(lb=0) for h in model.hosts for f in model.flavors}
    leave = {key: solver.addIntegral(lb=0, ub=count) for key, count in model.leaving.items()}
    unplaced = {f: solver.addIntegral(lb=0, ub=model.wanted[f]) for f in model.flavors}
    for host in model.hosts:
        for at in range(len(fleet.CLASSES)):
            coming = sum(model.need[f][at] * arrive[host, f] for f in model.flavors)
            going = sum(model.need[f][at] * leave[h, f] for h, f in leave if h == host)
            solver.addConstr(coming - going <= model.free[host][at])
    for f in model.flavors:
        coming = sum(arrive[host, f] for host in model.hosts)
        going = sum(variable for (_, flavor), variable in leave.items() if flavor == f)
        solver.addConstr(coming - going + unplaced[f] >= model.wanted[f])
    solver.minimize(
        sum(model.unplaced_cost * variable for variable in unplaced.values())
        + sum(model.displaced_cost(f) * variable for (_, f), variable in leave.items())
    )
    values = solver.getSolution().col_value
    if not values:
        return {}, {}
    count = lambda variables: {key: round(values[v.index]) for key, v in variables.items() if values[v.index] > 0.5}
    return count(arrive), count(leave)


if __name__ == "__main__":
    fleet.main(lambda cloud, seconds: flow.plan(cloud, seconds, solve))
