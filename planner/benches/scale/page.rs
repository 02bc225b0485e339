//! The figures as a page.

use std::fmt::Write;
use std::fs;

use crate::{Line, Other};

/// The page, whole.
pub(crate) fn page(lines: &[Line], others: &[Other]) -> String {
    let mut page = String::from(HEAD);
    let _ = writeln!(page, "Machine: {}.\n", machine());
    page.push_str(
        "| fleet | hosts / instances / pools | program | refused | displaced GiB | proven ≥ GiB | wall s | processor s | memory MiB | wall vs decant | holds at the end | holds in the order given |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        row(&mut page, line, lines);
    }
    page.push_str(
        "\n## Duration of the plans\n\n| fleet | estimated s | no plan is shorter than | ratio |\n|---|---|---|---|\n",
    );
    for line in lines {
        if let (Some(value), Some(bound)) = (line.judged.duration_s, line.judged.duration_bound_s) {
            let _ = writeln!(page, "| {} | {value:.1} | {bound:.1} | {:.3} |", line.case.name, value / bound.max(1e-9));
        }
    }
    page.push_str(
        "\n## Other commands\n\n| fleet | command | wall s | processor s | memory MiB | result |\n|---|---|---|---|---|---|\n",
    );
    for Other { case, what, cost, result, .. } in others {
        let _ = writeln!(
            page,
            "| {case} | {what} | {:.2} | {:.2} | {} | {result} |",
            cost.wall_s, cost.cpu_s, cost.resident_mb
        );
    }
    page.push_str(PROFILE);
    page
}

/// Measured by hand: a profiler does not run where the benchmark does.
const PROFILE: &str = include_str!("profile.md");

const HEAD: &str = "# Performance

Written by `make bench` (`scripts/bench.sh --fleets DIR` adds the fleets of a folder, marked as given); every figure is from
one run. Each answer is judged by the same checker (`decant check`'s). A
time is that of the whole process, from reading the file to the answer written, and depends on the machine; the ratio
beside it was taken in the same run. Peers are given the fleets they can take in reasonable time.

| program | is |
|---|---|
| decant | this project |
| nova_like | one instance after another to the host with the most free memory, as OpenStack Nova's RAM weigher would |
| hbal | Ganeti's `hbal --evac-mode`, the fleet exported to its own format |
| flow_highs, flow_cp_sat | an integer flow model (flavor × host, groups relaxed) in HiGHS and in OR-tools' CP-SAT |
| proxlb | proxlb-solver (CP-SAT, one binary per instance and host) |

";

fn row(page: &mut String, line: &Line, lines: &[Line]) {
    let judged = &line.judged;
    let gib = |mb: u64| format!("{}", mb / 1024);
    let decant = lines.iter().find(|other| other.program == "decant" && other.case.name == line.case.name);
    let ratio = decant
        .filter(|_| line.program != "decant")
        .map_or(String::from("1"), |decant| format!("{:.0}×", line.cost.wall_s / decant.cost.wall_s.max(0.01)));
    let proven = match judged.displaced_bound_mb {
        Some(bound) if judged.optimal => format!("{} (optimal)", gib(bound)),
        Some(bound) => gib(bound),
        None => String::from("–"),
    };
    let verdict = |violations: usize| if violations == 0 { String::from("yes") } else { format!("no ({violations})") };
    let _ = writeln!(
        page,
        "| {} | {} / {} / {} | {}{} | {} | {} | {proven} | {:.2} | {:.2} | {} | {ratio} | {} | {} |",
        line.case.name,
        line.case.hosts,
        line.case.instances,
        line.case.pools,
        line.program,
        if line.cost.exit == Some(124) { " (cut off)" } else { "" },
        judged.refused,
        gib(judged.displaced_mb),
        line.cost.wall_s,
        line.cost.cpu_s,
        line.cost.resident_mb,
        verdict(judged.violations),
        verdict(judged.order_violations),
    );
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    format!("{cores} cores of {}", model.trim_start_matches([' ', '\t', ':']))
}
