//! The benchmark: decant and its peers on the same fleets in the same run, every answer judged by the same checker.
//!
//! ```text
//! cargo bench --profile release --workspace --bench scale -- [--quick] [--peers PYTHON] [--page FILE]
//! ```
//!
//! `--quick` takes the small fleets alone; it fails on a wrong answer, never on a time. `--peers` names a Python with
//! the peers' packages; `--page` writes the figures as a page. `--only NAME` (repeatable) takes the fleets so named.
#![expect(clippy::disallowed_methods, reason = "the planner is pure, its benchmark is not")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to clean up")]

#[path = "scale/answer.rs"]
mod answer;
#[path = "scale/generate.rs"]
mod generate;
#[path = "scale/measure.rs"]
mod measure;
#[path = "scale/page.rs"]
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use answer::Judged;
use generate::Wanted;
use measure::Cost;

/// Pools are zones; the number in a name is how full the surviving hosts are once the others are empty.
const FLEETS: [Wanted; 9] = [
    Wanted { name: "S97", hosts: 20, pools: 1, drained: 2, fill_percent: 97, seed: 1 },
    Wanted { name: "M92", hosts: 200, pools: 2, drained: 10, fill_percent: 92, seed: 2 },
    Wanted { name: "M95", hosts: 200, pools: 2, drained: 10, fill_percent: 95, seed: 2 },
    Wanted { name: "M97", hosts: 200, pools: 2, drained: 10, fill_percent: 97, seed: 2 },
    Wanted { name: "L92", hosts: 1_000, pools: 6, drained: 31, fill_percent: 92, seed: 3 },
    Wanted { name: "L97", hosts: 1_000, pools: 6, drained: 31, fill_percent: 97, seed: 3 },
    Wanted { name: "Lone97", hosts: 1_000, pools: 1, drained: 31, fill_percent: 97, seed: 3 },
    Wanted { name: "XL97", hosts: 10_000, pools: 40, drained: 200, fill_percent: 97, seed: 4 },
    Wanted { name: "XLone97", hosts: 10_000, pools: 1, drained: 200, fill_percent: 97, seed: 5 },
];

/// The largest fleet of a quick run.
const QUICK_HOSTS_MAX: usize = 200;

/// How long one run of decant may take, seconds; the limit the command itself is given is a little shorter.
const LIMIT_S: u64 = 120;

/// A peer, and the largest fleet it is given: beyond it takes minutes or gigabytes, which shows nothing new.
const PEERS: [(&str, usize, u64); 5] = [
    ("nova_like", 1_000, 120),
    ("hbal", 200, 180),
    ("flow_highs", 200, 120),
    ("flow_cp_sat", 200, 60),
    ("proxlb", 20, 60),
];

/// One program's answer to one fleet.
pub(crate) struct Line {
    fleet: Wanted,
    program: &'static str,
    cost: Cost,
    judged: Judged,
}

struct Options {
    quick: bool,
    peers: Option<String>,
    page: Option<PathBuf>,
    only: Vec<String>,
}

fn main() -> ExitCode {
    let options = options();
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for wanted in FLEETS.iter().filter(|wanted| takes(&options, wanted)) {
        let (fleet, drain) = write_fleet(folder.path(), wanted);
        lines.push(run_decant(folder.path(), wanted, &fleet, &drain));
        for (peer, hosts_max, limit_s) in PEERS {
            if let Some(python) = options.peers.as_ref().filter(|_| wanted.hosts <= hosts_max) {
                lines.push(run_peer(folder.path(), wanted, (&fleet, &drain), (python, peer, limit_s)));
            }
        }
    }
    let page = page::page(&lines);
    if let Some(path) = &options.page {
        fs::write(path, &page).unwrap();
    }
    println!("{page}");
    let wrong = wrong(&lines);
    wrong.iter().for_each(|problem| eprintln!("wrong: {problem}"));
    println!("{} passed, {} failed", lines.len() - wrong.len().min(lines.len()), wrong.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Options {
    let mut options = Options { quick: false, peers: None, page: None, only: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--peers" => options.peers = arguments.next(),
            "--page" => options.page = arguments.next().map(PathBuf::from),
            "--only" => options.only.extend(arguments.next()),
            // What cargo itself adds.
            "--bench" => {}
            other => panic!("{other} is not an option: see the head of this file"),
        }
    }
    options
}

fn takes(options: &Options, wanted: &Wanted) -> bool {
    (!options.quick || wanted.hosts <= QUICK_HOSTS_MAX)
        && (options.only.is_empty() || options.only.iter().any(|name| name == wanted.name))
}

fn write_fleet(folder: &Path, wanted: &Wanted) -> (String, String) {
    let (document, drained) = generate::generate(wanted);
    let path = |extension: &str| folder.join(format!("{}.{extension}", wanted.name)).to_str().unwrap().to_owned();
    fs::write(path("json"), serde_json::to_vec(&document).unwrap()).unwrap();
    let names: Vec<&str> = drained.iter().map(|host| host.as_str()).collect();
    fs::write(path("drain"), names.join("\n")).unwrap();
    (path("json"), path("drain"))
}

/// Runs the program that stands beside the benchmark, from reading the file to the plan written.
fn run_decant(folder: &Path, wanted: &Wanted, fleet: &str, drain: &str) -> Line {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("decant");
    let plan = folder.join("plan.json");
    let limit = format!("{}s", LIMIT_S - 10);
    let arguments = ["plan", "evacuate", "--fleet", fleet, "--hosts-from", drain, "--time-limit", &limit, "-o"];
    let arguments = [&arguments[..], &[plan.to_str().unwrap()]].concat();
    let cost = measure::run(program.to_str().unwrap(), &arguments, LIMIT_S).unwrap();
    Line { fleet: *wanted, program: "decant", cost, judged: answer::judge_plan(fleet, &plan) }
}

fn run_peer(folder: &Path, wanted: &Wanted, files: (&str, &str), peer: (&str, &'static str, u64)) -> Line {
    let ((fleet, drain), (python, name, limit_s)) = (files, peer);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/peers/{name}.py"));
    let out = folder.join("answer.json");
    let _ = fs::remove_file(&out);
    let seconds = (limit_s - 5).to_string();
    let arguments = [script.to_str().unwrap(), fleet, drain, out.to_str().unwrap(), &seconds];
    let cost = measure::run(python, &arguments, limit_s).unwrap();
    Line { fleet: *wanted, program: name, cost, judged: answer::judge_moves(fleet, drain, &out) }
}

/// What must not be, whatever the machine: an invalid plan, a bound that is none, or a peer that does better.
fn wrong(lines: &[Line]) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in lines.iter().filter(|line| line.program == "decant") {
        let judged = &line.judged;
        let name = line.fleet.name;
        if judged.violations > 0 {
            wrong.push(format!("{name}: the plan has {} violations", judged.violations));
        }
        if !matches!(line.cost.exit, Some(0 | 3)) {
            wrong.push(format!("{name}: exit code {:?}", line.cost.exit));
        }
        let better = lines.iter().filter(|peer| peer.fleet.name == name && peer.judged.violations == 0);
        for peer in better.filter(|peer| peer.judged.value() < judged.value()) {
            wrong.push(format!(
                "{name}: {} reaches {:?}, decant {:?}",
                peer.program,
                peer.judged.value(),
                judged.value()
            ));
        }
    }
    wrong
}
