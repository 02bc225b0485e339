//! The benchmark: decant and its peers on the same fleets in the same run, every answer judged by the same checker.
//!
//! ```text
//! cargo bench --profile release --workspace --bench scale -- [--quick] [--peers PYTHON] [--page FILE] [--fleets DIR]
//! cargo bench --profile release --workspace --bench scale -- [--only NAME …] [--seed N] --write DIR
//! ```
//!
//! `--quick` takes the small fleets alone; it fails on a wrong answer, never on a time. `--peers` names a Python with
//! the peers' packages; `--page` writes the figures as a page. `--fleets` adds every fleet of a folder that has a
//! `NAME.json.gz` and a `NAME.drain` with the hosts to empty. `--only NAME` (repeatable) takes the fleets so named.
//! `--seed` generates other fleets of the same sizes. `--write` only writes the generated fleets to a folder, to look at
//! one of them.
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

/// Pools are zones; the number in a name is how full the surviving hosts are once the others are empty; with an O, sizes
/// are odd.
const FLEETS: [Wanted; 12] = [
    wanted("S97", 20, 1, 2, 97, 1),
    wanted("M92", 200, 2, 10, 92, 2),
    wanted("M95", 200, 2, 10, 95, 2),
    wanted("M97", 200, 2, 10, 97, 2),
    Wanted { odd: true, ..wanted("MO97", 200, 2, 10, 97, 2) },
    wanted("L92", 1_000, 6, 31, 92, 3),
    wanted("L97", 1_000, 6, 31, 97, 3),
    Wanted { odd: true, ..wanted("LO97", 1_000, 6, 31, 97, 3) },
    wanted("Lone97", 1_000, 1, 31, 97, 3),
    wanted("K3x97", 3_000, 12, 60, 97, 6),
    wanted("XL97", 10_000, 40, 200, 97, 4),
    wanted("XLone97", 10_000, 1, 200, 97, 5),
];

const fn wanted(name: &'static str, hosts: usize, pools: usize, drained: usize, fill: u64, seed: u64) -> Wanted {
    Wanted { name, hosts, pools, drained, fill_percent: fill, odd: false, seed }
}

/// The largest fleet of a quick run.
const QUICK_HOSTS_MAX: usize = 200;

/// How long one run of decant may take, seconds; the limit the command itself is given is a little shorter.
const LIMIT_S: u64 = 120;

/// The largest fleet that is maintained whole in the quick subset.
const QUICK_ROLLING_HOSTS_MAX: usize = 20;

/// The largest fleet that is reported on and maintained whole.
const OTHERS_HOSTS_MAX: usize = 1_000;

/// A peer, and the largest fleet it is given: beyond it takes minutes or gigabytes, which shows nothing new.
const PEERS: [(&str, usize, u64); 5] = [
    ("nova_like", 1_000, 60),
    ("hbal", 200, 90),
    ("flow_highs", 200, 45),
    ("flow_cp_sat", 200, 45),
    ("proxlb", 20, 45),
];

/// A fleet on disk and the hosts of it to empty.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: String,
    hosts: usize,
    instances: usize,
    pools: usize,
    fleet: String,
    drain: String,
}

/// One program's answer to one fleet.
pub(crate) struct Line {
    case: Case,
    program: &'static str,
    cost: Cost,
    judged: Judged,
}

/// What another command of decant took.
pub(crate) struct Other {
    case: String,
    what: &'static str,
    cost: Cost,
    result: String,
    /// Whether what it wrote is valid.
    holds: bool,
}

struct Options {
    quick: bool,
    peers: Option<String>,
    page: Option<PathBuf>,
    fleets: Option<PathBuf>,
    only: Vec<String>,
    write: Option<PathBuf>,
    /// Instead of the fleets' own seeds.
    seed: Option<u64>,
}

impl Options {
    /// The fleets to generate.
    fn wanted(&self) -> impl Iterator<Item = Wanted> + '_ {
        let taken = FLEETS.iter().filter(|wanted| takes(self, wanted.name, wanted.hosts));
        taken.map(|wanted| Wanted { seed: self.seed.unwrap_or(wanted.seed), ..*wanted })
    }
}

fn main() -> ExitCode {
    let options = options();
    if let Some(folder) = &options.write {
        options.wanted().for_each(|wanted| drop(write_fleet(folder, &wanted)));
        return ExitCode::SUCCESS;
    }
    if let Some(path) = &options.page {
        // Measuring takes long: better to know now that what comes of it cannot be kept.
        fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    let mut others = Vec::new();
    let generated = options.wanted().map(|wanted| write_fleet(folder.path(), &wanted));
    for case in generated.chain(given(&options)) {
        eprintln!("bench: {}", case.name);
        lines.push(run_decant(folder.path(), &case));
        others.extend(run_others(folder.path(), &case, options.quick));
        for (peer, hosts_max, limit_s) in PEERS {
            if let Some(python) = options.peers.as_ref().filter(|_| case.hosts <= hosts_max) {
                lines.push(run_peer(folder.path(), &case, (python, peer, limit_s)));
            }
        }
    }
    let page = page::page(&lines, &others);
    if let Some(path) = &options.page {
        fs::write(path, &page).unwrap();
    }
    println!("{page}");
    let mut wrong = wrong(&lines);
    let invalid = others.iter().filter(|other| !other.holds);
    wrong.extend(invalid.map(|other| format!("{}: {} gives no valid answer {}", other.case, other.what, other.result)));
    wrong.iter().for_each(|problem| eprintln!("wrong: {problem}"));
    println!("{} passed, {} failed", lines.len() - wrong.len().min(lines.len()), wrong.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Options {
    let mut options =
        Options { quick: false, peers: None, page: None, fleets: None, only: Vec::new(), write: None, seed: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--peers" => options.peers = arguments.next(),
            "--page" => options.page = arguments.next().map(PathBuf::from),
            "--fleets" => options.fleets = arguments.next().map(PathBuf::from),
            "--seed" => options.seed = arguments.next().map(|seed| seed.parse().expect("--seed takes a number")),
            "--write" => options.write = arguments.next().map(PathBuf::from),
            "--only" => options.only.extend(arguments.next()),
            // What cargo itself adds.
            "--bench" => {}
            other => panic!("{other} is not an option: see the head of this file"),
        }
    }
    options
}

fn takes(options: &Options, name: &str, hosts: usize) -> bool {
    (!options.quick || hosts <= QUICK_HOSTS_MAX)
        && (options.only.is_empty() || options.only.iter().any(|only| only == name))
}

/// The fleets of the folder that was given, the smallest first.
fn given(options: &Options) -> Vec<Case> {
    let Some(folder) = &options.fleets else { return Vec::new() };
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<Case> = names
        .filter_map(|name| Some(name.strip_suffix(".drain")?.to_owned()))
        .map(|name| {
            let path = |extension: &str| folder.join(format!("{name}.{extension}")).to_str().unwrap().to_owned();
            let (hosts, instances, pools) = answer::extent(&path("json.gz"));
            let (fleet, drain) = (path("json.gz"), path("drain"));
            Case { name: format!("{name} (given)"), hosts, instances, pools, fleet, drain }
        })
        .filter(|case| takes(options, &case.name, case.hosts))
        .collect();
    cases.sort_by(|a, b| (a.hosts, &a.name).cmp(&(b.hosts, &b.name)));
    cases
}

fn write_fleet(folder: &Path, wanted: &Wanted) -> Case {
    let (document, drained) = generate::generate(wanted);
    let path = |extension: &str| folder.join(format!("{}.{extension}", wanted.name)).to_str().unwrap().to_owned();
    fs::write(path("json"), serde_json::to_vec(&document).unwrap()).unwrap();
    let names: Vec<&str> = drained.iter().map(|host| host.as_str()).collect();
    fs::write(path("drain"), names.join("\n")).unwrap();
    Case {
        name: wanted.name.to_owned(),
        hosts: wanted.hosts,
        instances: document.instances.len(),
        pools: wanted.pools,
        fleet: path("json"),
        drain: path("drain"),
    }
}

/// The program that stands beside the benchmark.
fn program() -> String {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("decant");
    program.to_str().unwrap().to_owned()
}

/// Runs decant, from reading the file to the plan written.
fn run_decant(folder: &Path, case: &Case) -> Line {
    let plan = folder.join("plan.json");
    let limit = format!("{}s", LIMIT_S - 10);
    let arguments =
        ["plan", "evacuate", "--fleet", &case.fleet, "--hosts-from", &case.drain, "--time-limit", &limit, "-o"];
    let arguments = [&arguments[..], &[plan.to_str().unwrap()]].concat();
    let cost = measure::run(&program(), &arguments, LIMIT_S).unwrap();
    Line { case: case.clone(), program: "decant", cost, judged: answer::judge_plan(&case.fleet, &plan) }
}

/// What else decant does with a fleet: verify the plan just made, plan it in a hurry, report on it, maintain all of it.
fn run_others(folder: &Path, case: &Case, quick: bool) -> Vec<Other> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (plan, hurried, report, rolling) = (path("plan.json"), path("hurried"), path("report"), path("rolling"));
    let fleet = ["--fleet", &case.fleet];
    let mut others = Vec::new();
    let mut run = |what: &'static str, arguments: &[&str], judge: &dyn Fn(&Cost) -> (String, bool)| {
        let cost = measure::run(&program(), &[arguments, &fleet].concat(), LIMIT_S).unwrap();
        let (result, holds) = judge(&cost);
        others.push(Other { case: case.name.clone(), what, cost, result, holds });
    };
    let by_exit = |cost: &Cost| (String::new(), matches!(cost.exit, Some(0 | 3)));
    run("check", &["check", &plan], &by_exit);
    if !quick {
        run(
            "plan evacuate --time-limit 0.3s",
            &["plan", "evacuate", "--hosts-from", &case.drain, "--time-limit", "0.3s", "-o", &hurried],
            &|_| {
                let judged = answer::judge_plan(&case.fleet, Path::new(&hurried));
                (judged.in_words(), judged.violations == 0)
            },
        );
    }
    if !quick && case.hosts <= OTHERS_HOSTS_MAX {
        run("report", &["report", "-o", &report], &by_exit);
    }
    if case.hosts <= if quick { QUICK_ROLLING_HOSTS_MAX } else { OTHERS_HOSTS_MAX } {
        run(
            "plan rolling, every host",
            &["plan", "rolling", "--window", "10000h", "--outage", "20m", "--time-limit", "60s", "-o", &rolling],
            &|_| answer::judge_rounds(&case.fleet, Path::new(&rolling)),
        );
    }
    others
}

fn run_peer(folder: &Path, case: &Case, (python, name, limit_s): (&str, &'static str, u64)) -> Line {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/peers/{name}.py"));
    let out = folder.join("answer.json");
    let _ = fs::remove_file(&out);
    let seconds = (limit_s - 5).to_string();
    let arguments = [script.to_str().unwrap(), &case.fleet, &case.drain, out.to_str().unwrap(), &seconds];
    let cost = measure::run(python, &arguments, limit_s).unwrap();
    let judged = answer::judge_moves(&case.fleet, &case.drain, &out);
    Line { case: case.clone(), program: name, cost, judged }
}

/// What must not be, whatever the machine: an invalid plan, a bound that is none, or a peer that does better by moves that
/// can be carried out.
fn wrong(lines: &[Line]) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in lines.iter().filter(|line| line.program == "decant") {
        let judged = &line.judged;
        let name = &line.case.name;
        if judged.violations > 0 {
            wrong.push(format!("{name}: the plan has {} violations", judged.violations));
        }
        if !matches!(line.cost.exit, Some(0 | 3)) {
            wrong.push(format!("{name}: exit code {:?}", line.cost.exit));
        }
        let better = lines
            .iter()
            .filter(|peer| peer.case.name == *name && peer.judged.violations + peer.judged.order_violations == 0);
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
